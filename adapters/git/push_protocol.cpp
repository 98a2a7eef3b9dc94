#include "adapters/git/push_protocol.hpp"

#include "adapters/git/error_map.hpp"
#include "messages/model/digest.hpp"

#include <array>

namespace veranda::git {

namespace {

constexpr std::string_view readme = "Made by Veranda for the packages of this branch.\n";
constexpr std::size_t max_report_bytes = 1U << 20U;
constexpr std::size_t max_person_bytes = 256;
constexpr std::uint32_t adler_base = 65'521;

void append_number(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255U);
}

/// A zlib stream that holds `bytes` as they are. They must be fewer than 65,536.
std::string stored(std::string_view bytes) {
  std::uint32_t low = 1, high = 0; // Adler-32
  for (const char c : bytes) {
    low = (low + static_cast<unsigned char>(c)) % adler_base;
    high = (high + low) % adler_base;
  }
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::string out{"\x78\x01\x01"};
  for (const auto part : {size, ~size})
    for (const int shift : {0, 8}) out += static_cast<char>(part >> shift & 255U);
  out += bytes;
  append_number(out, high << 16U | low);
  return out;
}

enum object_kind : std::uint8_t { commit_kind = 1, tree_kind = 2, blob_kind = 3 };

class pack_builder {
public:
  oid add(object_kind kind, const char* name, std::string_view bytes) {
    sha1_hasher hasher;
    hasher.update(std::string{name} + ' ' + std::to_string(bytes.size()) + '\0');
    hasher.update(bytes);
    auto size = bytes.size();
    auto head = static_cast<unsigned>(kind) << 4U | static_cast<unsigned>(size & 15U);
    for (size >>= 4U; size != 0; size >>= 7U) {
      body_ += static_cast<char>(head | 0x80U);
      head = static_cast<unsigned>(size & 0x7fU);
    }
    body_ += static_cast<char>(head);
    body_ += stored(bytes);
    ++count_;
    return oid{hasher.finish()};
  }
  [[nodiscard]] std::string finish() const {
    std::string out{"PACK"};
    append_number(out, 2);
    append_number(out, count_);
    out += body_;
    const auto checksum = sha1(out);
    return out.append(reinterpret_cast<const char*>(checksum.data()), checksum.size());
  }

private:
  std::string body_;
  std::uint32_t count_ = 0;
};

/// A name or an address as a commit can have it.
std::string person(std::string_view text, std::string_view otherwise) {
  std::string out;
  for (const char c : text.substr(0, max_person_bytes))
    if (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f && c != '<' && c != '>') out += c;
  return out.empty() ? std::string{otherwise} : out;
}

} // namespace

first_commit make_first_commit(const new_branch& branch, std::int64_t seconds) {
  pack_builder pack;
  const auto blob = pack.add(blob_kind, "blob", readme);
  std::string tree{"100644 README.md"};
  tree.append(1, '\0').append(reinterpret_cast<const char*>(blob.bytes.data()), blob.bytes.size());
  const auto root = pack.add(tree_kind, "tree", tree);
  const auto who = person(branch.author, "Veranda") + " <" + person(branch.email, "veranda@localhost") + "> " + std::to_string(seconds) + " +0000\n";
  const auto id = pack.add(commit_kind, "commit", "tree " + root.hex() + "\nauthor " + who + "committer " + who + "\nInitial commit: creating branch " + branch.name + "\n");
  return {id, pack.finish()};
}

std::string push_request(std::string_view ref, const first_commit& commit, std::string_view user_agent) {
  std::string out;
  auto command = oid{}.hex() + ' ' + commit.id.hex() + ' ' + std::string{ref};
  command.append(1, '\0').append(" report-status agent=" + agent_of(user_agent));
  append_packet(out, command);
  append_flush(out);
  return out + commit.pack;
}

result<void> push_report::feed(std::string_view bytes) {
  bytes_ += bytes.size();
  if (bytes_ > max_report_bytes) return failure{ec::too_large, "the answer to a push is larger than " + std::to_string(max_report_bytes) + " bytes", {}, {}, {}};
  return packets_.feed(bytes, [this](packet_kind kind, std::string_view payload) -> result<void> {
    if (complete_ || (kind != packet_kind::data && kind != packet_kind::flush)) return malformed("an unexpected mark in the answer to a push");
    complete_ = kind == packet_kind::flush;
    return complete_ ? result<void>{} : on_line(without_newline(payload));
  });
}

/// What follows `ng` and the ref is somebody else's words.
result<void> push_report::on_line(std::string_view line) {
  if (line.starts_with("ERR ")) return remote_error(line.substr(4));
  if (line.starts_with("unpack ")) unpacked_ = line == "unpack ok";
  else if (line == "ok " + ref_) made_ = true;
  else if (!line.starts_with("ng ")) return malformed("an unknown line in the answer to a push");
  return {};
}

result<bool> push_report::finish() const {
  if (!complete_ || !packets_.at_boundary()) return failure{ec::unavailable, "the answer to a push was cut short; the refs are listed again", {}, {}, {}};
  return unpacked_ && made_;
}

} // namespace veranda::git
