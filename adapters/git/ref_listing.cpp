#include "adapters/git/ref_listing.hpp"

#include "adapters/git/error_map.hpp"
#include "messages/model/digest.hpp"

#include <algorithm>
#include <array>

namespace veranda::git {

namespace {

constexpr std::size_t max_ref_name_bytes = 1'024;
constexpr std::size_t max_capabilities = 256;

/// Bytes that no ref name has.
constexpr auto forbidden = [] {
  std::array<bool, 256> out{};
  for (std::size_t c = 0; c <= 0x20; ++c) out[c] = true;
  for (const char c : std::string_view{"\x7f~^:?*[\\"}) out[static_cast<unsigned char>(c)] = true;
  return out;
}();

bool valid_component(std::string_view part) noexcept {
  return !part.empty() && part.front() != '.' && !part.ends_with(".lock");
}

/// Cuts the part before the next space off `text`.
std::string_view next_word(std::string_view& text) noexcept {
  const auto end = text.find(' ');
  const auto word = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return word;
}

failure cut_short() { return {ec::unavailable, "the list of refs was cut short; it is asked for again", {}, {}, {}}; }

} // namespace

failure list_too_large(std::uint64_t max_bytes) {
  return {ec::too_large, "the list of refs is larger than the " + std::to_string(max_bytes) + " bytes that are read; remove refs that are not needed", {}, {}, {}};
}

bool valid_ref_name(std::string_view name) noexcept {
  if (name == "HEAD") return true;
  if (!name.starts_with("refs/") || name.size() > max_ref_name_bytes || name.ends_with('.')) return false;
  char before = 0;
  std::size_t component = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (forbidden[static_cast<unsigned char>(c)] || (before == '.' && c == '.') || (before == '@' && c == '{')) return false;
    if (c == '/') {
      if (!valid_component(name.substr(component, i - component))) return false;
      component = i + 1;
    }
    before = c;
  }
  return valid_component(name.substr(component));
}

bool wanted_ref(std::string_view name, const ref_prefixes& prefixes) noexcept {
  if (prefixes.empty()) return true;
  return std::any_of(prefixes.begin(), prefixes.end(), [name](const std::string& p) { return p.ends_with('/') ? name.starts_with(p) : name == p; });
}

result<void> ref_collector::add(std::string_view name, const oid& target, const oid& peeled) {
  if (name == "HEAD" || target.is_zero() || !wanted_ref(name, prefixes_) || !valid_ref_name(name)) return {};
  if (table_.refs.size() >= max_refs_)
    return failure{ec::too_large, "the repository has more than " + std::to_string(max_refs_) + " refs, which is as many as are read; remove some", {}, {}, {}};
  table_.refs.push_back({std::string{name}, target, peeled});
  return {};
}

void ref_collector::peel_last(std::string_view name, const oid& peeled) {
  if (!table_.refs.empty() && table_.refs.back().name == name) table_.refs.back().peeled = peeled;
}

void ref_collector::set_head(std::string_view target) {
  if (target.starts_with("refs/heads/") && valid_ref_name(target)) table_.head_target = target;
}

ref_table_ptr ref_collector::finish() {
  const auto by_name = [](const ref_entry& a, const ref_entry& b) { return a.name < b.name; };
  auto& refs = table_.refs;
  if (!std::is_sorted(refs.begin(), refs.end(), by_name)) std::stable_sort(refs.begin(), refs.end(), by_name);
  refs.erase(std::unique(refs.begin(), refs.end(), [](const ref_entry& a, const ref_entry& b) { return a.name == b.name; }), refs.end());
  return std::make_shared<const ref_table>(std::move(table_));
}

std::string ls_refs_request(const ref_prefixes& prefixes, std::string_view user_agent) {
  std::string body;
  append_packet(body, "command=ls-refs\n");
  append_packet(body, "agent=" + agent_of(user_agent));
  append_packet(body, "object-format=sha1");
  append_delimiter(body);
  append_packet(body, "peel\n");
  append_packet(body, "symrefs\n");
  if (!prefixes.empty()) {
    append_packet(body, "ref-prefix HEAD\n");
    for (const auto& p : prefixes) append_packet(body, "ref-prefix " + p + "\n");
  }
  append_flush(body);
  return body;
}

std::string agent_of(std::string_view user_agent) {
  std::string out;
  for (const char c : user_agent.substr(0, 128)) out += c > 0x20 && c < 0x7f ? c : '-';
  return out;
}

result<void> ls_refs_reader::feed(std::string_view bytes) {
  return packets_.feed(bytes, [this](packet_kind kind, std::string_view payload) { return on_packet(kind, payload); });
}

result<void> ls_refs_reader::on_packet(packet_kind kind, std::string_view payload) {
  if (complete_) return kind == packet_kind::response_end ? result<void>{} : malformed("bytes follow the list of refs");
  if (kind == packet_kind::flush) {
    complete_ = true;
    return {};
  }
  if (kind != packet_kind::data) return malformed("an unexpected mark in the list of refs");
  auto line = without_newline(payload);
  if (line.starts_with("ERR ")) return remote_error(line.substr(4));
  const auto word = next_word(line);
  const auto target = oid::parse(word);
  const auto name = next_word(line);
  if (name.empty() || (!target && word != "unborn")) return malformed("a line of the list of refs is not one");
  oid peeled;
  while (!line.empty()) {
    const auto attribute = next_word(line);
    if (attribute.starts_with("symref-target:") && name == "HEAD") collector_.set_head(attribute.substr(14));
    if (attribute.starts_with("peeled:")) peeled = oid::parse(attribute.substr(7)).value_or(oid{});
  }
  return target ? collector_.add(name, *target, peeled) : result<void>{};
}

result<ref_table_ptr> ls_refs_reader::finish() {
  if (!complete_ || !packets_.at_boundary()) return cut_short();
  return collector_.finish();
}

result<listing> read_ls_refs(std::string_view answer, const ref_prefixes& prefixes, const std::string& known_digest, std::uint64_t max_refs) {
  sha256_hasher hasher;
  hasher.update(answer);
  listing out{to_hex(hasher.finish()), nullptr, protocol_version::v2, answer.size()};
  if (out.digest == known_digest) return out;
  ls_refs_reader reader{prefixes, max_refs};
  if (auto fed = reader.feed(answer); !fed) return std::move(fed).error();
  auto table = reader.finish();
  if (!table) return std::move(table).error();
  out.refs = *std::move(table);
  return out;
}

listing listing_of(ref_table_ptr table, const std::string& known_digest) {
  listing out{table_digest(*table), nullptr, protocol_version::v0, 0};
  if (out.digest != known_digest) out.refs = std::move(table);
  return out;
}

bool advertisement::has(std::string_view capability) const noexcept {
  return std::any_of(capabilities.begin(), capabilities.end(), [capability](const std::string& c) {
    return c.starts_with(capability) && (c.size() == capability.size() || c[capability.size()] == '=');
  });
}

result<void> advertisement_reader::feed(std::string_view bytes) {
  return packets_.feed(bytes, [this](packet_kind kind, std::string_view payload) { return on_packet(kind, payload); });
}

result<void> advertisement_reader::on_packet(packet_kind kind, std::string_view payload) {
  if (state_ == state::complete) return malformed("bytes follow the advertisement");
  if (kind == packet_kind::flush) {
    state_ = state_ == state::announced ? state::start : state::complete;
    return {};
  }
  if (kind != packet_kind::data) return malformed("an unexpected mark in the advertisement");
  const auto line = without_newline(payload);
  if (line.starts_with("ERR ")) return remote_error(line.substr(4));
  switch (state_) {
    case state::start:
      if (line.starts_with("# service=")) {
        if (line.substr(10) != service_) return malformed("another service than " + std::string{service_} + " answered");
        state_ = state::announced;
        return {};
      }
      if (line == "version 2") {
        found_.protocol = protocol_version::v2;
        state_ = state::capabilities;
        return {};
      }
      found_.protocol = protocol_version::v0;
      state_ = state::refs;
      return line == "version 1" ? result<void>{} : on_ref(payload);
    case state::capabilities: return on_capability(line);
    case state::refs: return on_ref(payload);
    case state::announced:
    case state::complete: break;
  }
  return malformed("the service announcement does not end");
}

result<void> advertisement_reader::on_capability(std::string_view line) {
  if (found_.capabilities.size() >= max_capabilities) return malformed("too many capabilities");
  found_.capabilities.emplace_back(line);
  return {};
}

result<void> advertisement_reader::on_ref(std::string_view payload) {
  const auto nul = payload.find('\0');
  if (nul != std::string_view::npos && found_.capabilities.empty()) {
    for (auto rest = without_newline(payload.substr(nul + 1)); !rest.empty();)
      if (const auto word = next_word(rest); !word.empty()) {
        if (auto added = on_capability(word); !added) return added;
        if (word.starts_with("symref=HEAD:")) collector_.set_head(word.substr(12));
      }
  }
  auto line = without_newline(payload.substr(0, nul));
  if (line.starts_with("shallow ")) return failure{ec::unsupported, "the remote repository is a shallow clone, which lacks history; use a complete one", {}, {}, {}};
  const auto target = oid::parse(next_word(line));
  if (!target || line.empty()) return malformed("a line of the advertisement is not a ref");
  if (line.ends_with("^{}")) {
    collector_.peel_last(line.substr(0, line.size() - 3), *target);
    return {};
  }
  return collector_.add(line, *target, {});
}

result<advertisement> advertisement_reader::finish() {
  if (state_ != state::complete || !packets_.at_boundary()) return cut_short();
  if (found_.protocol == protocol_version::unknown) found_.protocol = protocol_version::v0; // nothing but a flush: no refs
  if (found_.protocol == protocol_version::v0) found_.refs = collector_.finish();
  for (const auto& c : found_.capabilities)
    if (c.starts_with("object-format=") && c != "object-format=sha1")
      return failure{ec::unsupported, "the repository names its objects by " + printable(c.substr(14), 20) + "; only SHA-1 repositories can be read", {}, {}, {}};
  return std::move(found_);
}

std::string table_digest(const ref_table& table) {
  sha256_hasher hasher;
  hasher.update_field(table.head_target);
  for (const auto& r : table.refs) {
    hasher.update_field(r.name);
    hasher.update({reinterpret_cast<const char*>(r.target.bytes.data()), r.target.bytes.size()});
    hasher.update({reinterpret_cast<const char*>(r.peeled.bytes.data()), r.peeled.bytes.size()});
  }
  return to_hex(hasher.finish());
}

} // namespace veranda::git
