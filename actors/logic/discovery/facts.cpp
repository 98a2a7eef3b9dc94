#include "actors/logic/discovery/facts.hpp"

#include <algorithm>

namespace veranda::logic {

namespace {

class writer {
public:
  void number(std::uint64_t n) {
    for (; n >= 0x80; n >>= 7U)
      out_ += static_cast<char>(n | 0x80U);
    out_ += static_cast<char>(n);
  }
  void text(std::string_view s) {
    number(s.size());
    out_ += s;
  }
  void map(const std::map<std::string, std::string>& m) {
    number(m.size());
    for (const auto& [key, value] : m) {
      text(key);
      text(value);
    }
  }
  std::string take() { return std::move(out_); }

private:
  std::string out_;
};

class reader {
public:
  explicit reader(std::string_view in) : in_(in) {}
  std::uint64_t number() {
    std::uint64_t n = 0;
    for (unsigned shift = 0; !in_.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(in_[0]);
      in_.remove_prefix(1);
      n |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
      if (byte < 0x80)
        break;
    }
    return n;
  }
  /// A number of items, each of at least one byte.
  std::uint64_t count() {
    const std::uint64_t n = number();
    return std::min<std::uint64_t>(n, in_.size());
  }
  std::string_view view() {
    const std::size_t size = static_cast<std::size_t>(count());
    const std::string_view out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  std::string text() { return std::string{view()}; }
  std::map<std::string, std::string> map() {
    std::map<std::string, std::string> out;
    for (std::uint64_t n = count(); n > 0; --n) {
      std::string key = text();
      out.insert_or_assign(out.end(), std::move(key), text());
    }
    return out;
  }

private:
  std::string_view in_;
};

} // namespace

std::string encode_facts(const kptfile_facts& facts) {
  if (facts == kptfile_facts{})
    return {};
  writer out;
  out.text(facts.problem);
  out.number(facts.upstream_lock ? 1 : 0);
  if (facts.upstream_lock)
    for (const std::string* field : {&facts.upstream_lock->repo, &facts.upstream_lock->directory, &facts.upstream_lock->ref, &facts.upstream_lock->commit})
      out.text(*field);
  out.number(facts.readiness_gates.size());
  for (const std::string& gate : facts.readiness_gates)
    out.text(gate);
  out.number(facts.conditions.size());
  for (const package_condition& c : facts.conditions)
    for (const std::string* field : {&c.type, &c.status, &c.reason, &c.message})
      out.text(*field);
  out.map(facts.labels);
  out.map(facts.annotations);
  return out.take();
}

std::string_view problem_of_facts(std::string_view text) { return reader{text}.view(); }

kptfile_facts decode_facts(std::string_view text) {
  kptfile_facts out;
  if (text.empty())
    return out;
  reader in{text};
  out.problem = in.text();
  if (in.number() != 0) {
    git_lock& lock = out.upstream_lock.emplace();
    for (std::string* field : {&lock.repo, &lock.directory, &lock.ref, &lock.commit})
      *field = in.text();
  }
  out.readiness_gates.resize(static_cast<std::size_t>(in.count()));
  for (std::string& gate : out.readiness_gates)
    gate = in.text();
  out.conditions.resize(static_cast<std::size_t>(in.count()));
  for (package_condition& c : out.conditions)
    for (std::string* field : {&c.type, &c.status, &c.reason, &c.message})
      *field = in.text();
  out.labels = in.map();
  out.annotations = in.map();
  return out;
}

} // namespace veranda::logic
