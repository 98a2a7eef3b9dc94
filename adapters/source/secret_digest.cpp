#include "adapters/source/secret_digest.hpp"

#include "messages/model/digest.hpp"

namespace veranda::source {
namespace {

constexpr std::size_t block_bytes = 64;

std::string_view view(const sha256_digest& d) { return {reinterpret_cast<const char*>(d.data()), d.size()}; }

std::string pad(std::string key, char with) {
  key.resize(block_bytes, '\0');
  for (char& c : key)
    c = static_cast<char>(c ^ with);
  return key;
}

} // namespace

std::string keyed_digest(const std::string& key, const std::string& type, const std::map<std::string, std::string>& data) {
  const std::string short_key = key.size() > block_bytes ? std::string{view(sha256(key))} : key;
  sha256_hasher inner;
  inner.update(pad(short_key, 0x36));
  inner.update_field(type);
  for (const auto& [name, value] : data) {
    inner.update_field(name);
    inner.update_field(value);
  }
  sha256_hasher outer;
  outer.update(pad(short_key, 0x5c));
  outer.update(view(inner.finish()));
  return to_hex(outer.finish());
}

} // namespace veranda::source
