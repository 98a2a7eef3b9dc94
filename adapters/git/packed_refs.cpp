#include "adapters/git/packed_refs.hpp"

#include <algorithm>

namespace veranda::git {

namespace {

constexpr std::string_view header = "# pack-refs with: peeled fully-peeled sorted \n";
constexpr std::size_t hex_size = 40;

failure damaged() { return {ec::corrupt_cache, "the list of refs of the mirror is damaged; the mirror is fetched anew", {}, {}, {}}; }

void append_hex(std::string& out, const oid& id) {
  constexpr char digits[] = "0123456789abcdef";
  for (const auto byte : id.bytes) {
    out += digits[byte >> 4U];
    out += digits[byte & 15U];
  }
}

} // namespace

std::string render_packed_refs(const ref_table& table) {
  std::string out{header};
  out.reserve(out.size() + table.refs.size() * 128);
  for (const auto& ref : table.refs) {
    append_hex(out, ref.target);
    out += ' ';
    out += ref.name;
    out += '\n';
    if (ref.peeled.is_zero()) continue;
    out += '^';
    append_hex(out, ref.peeled);
    out += '\n';
  }
  return out;
}

result<ref_table> parse_packed_refs(std::string_view text) {
  ref_table table;
  table.refs.reserve(text.size() / 100);
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return damaged();
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.starts_with('#')) continue;
    if (line.starts_with('^')) {
      const auto id = oid::parse(line.substr(1));
      if (!id || table.refs.empty()) return damaged();
      table.refs.back().peeled = *id;
      continue;
    }
    const auto id = oid::parse(line.substr(0, hex_size));
    if (!id || line.size() < hex_size + 2 || line[hex_size] != ' ') return damaged();
    auto name = line.substr(hex_size + 1);
    if (!table.refs.empty() && table.refs.back().name >= name) return damaged();
    table.refs.push_back({std::string{name}, *id, {}});
  }
  return table;
}

} // namespace veranda::git
