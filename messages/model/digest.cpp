#include "messages/model/digest.hpp"

#include <openssl/evp.h>

#include <stdexcept>

namespace veranda {

namespace {

struct context_deleter {
  void operator()(EVP_MD_CTX* c) const noexcept { EVP_MD_CTX_free(c); }
};
using context_ptr = std::unique_ptr<EVP_MD_CTX, context_deleter>;

/// Fetched once: OpenSSL 3 looks an algorithm up by name at every use otherwise. Lives as long as the process.
const EVP_MD* algorithm(const char* name) {
  const EVP_MD* md = EVP_MD_fetch(nullptr, name, nullptr);
  if (md == nullptr)
    throw std::runtime_error(std::string{"libcrypto offers no "} + name);
  return md;
}
const EVP_MD* sha1_algorithm() {
  static const EVP_MD* const md = algorithm("SHA1");
  return md;
}
const EVP_MD* sha256_algorithm() {
  static const EVP_MD* const md = algorithm("SHA256");
  return md;
}

void require(int ok) {
  if (ok != 1)
    throw std::runtime_error("libcrypto failed to compute a digest");
}

context_ptr new_context() {
  context_ptr c{EVP_MD_CTX_new()};
  if (!c)
    throw std::bad_alloc{};
  return c;
}

template <std::size_t N>
std::array<std::uint8_t, N> digest_of(const EVP_MD* md, std::string_view data) {
  thread_local const context_ptr context = new_context();
  std::array<std::uint8_t, N> out{};
  require(EVP_DigestInit_ex2(context.get(), md, nullptr));
  require(EVP_DigestUpdate(context.get(), data.data(), data.size()));
  require(EVP_DigestFinal_ex(context.get(), out.data(), nullptr));
  return out;
}

/// The 16 bytes of a UUID's text; hyphens are skipped.
std::string uuid_bytes(std::string_view text) {
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    if (c == '-')
      continue;
    const int v = hex_value(c);
    if (v < 0)
      throw std::invalid_argument("not a UUID");
    if (high < 0) {
      high = v;
    } else {
      bytes.push_back(static_cast<char>(high * 16 + v));
      high = -1;
    }
  }
  if (bytes.size() != 16 || high >= 0)
    throw std::invalid_argument("not a UUID");
  return bytes;
}

} // namespace

sha1_digest sha1(std::string_view data) { return digest_of<20>(sha1_algorithm(), data); }
sha256_digest sha256(std::string_view data) { return digest_of<32>(sha256_algorithm(), data); }

struct sha1_hasher::impl {
  context_ptr context = new_context();
};

sha1_hasher::sha1_hasher() : impl_(std::make_unique<impl>()) { require(EVP_DigestInit_ex2(impl_->context.get(), sha1_algorithm(), nullptr)); }
sha1_hasher::~sha1_hasher() = default;

void sha1_hasher::update(std::string_view data) { require(EVP_DigestUpdate(impl_->context.get(), data.data(), data.size())); }

sha1_digest sha1_hasher::finish() {
  sha1_digest out{};
  require(EVP_DigestFinal_ex(impl_->context.get(), out.data(), nullptr));
  require(EVP_DigestInit_ex2(impl_->context.get(), sha1_algorithm(), nullptr));
  return out;
}

struct sha256_hasher::impl {
  context_ptr context = new_context();
};

sha256_hasher::sha256_hasher() : impl_(std::make_unique<impl>()) {
  require(EVP_DigestInit_ex2(impl_->context.get(), sha256_algorithm(), nullptr));
}
sha256_hasher::~sha256_hasher() = default;
sha256_hasher::sha256_hasher(sha256_hasher&&) noexcept = default;
sha256_hasher& sha256_hasher::operator=(sha256_hasher&&) noexcept = default;

void sha256_hasher::update(std::string_view data) { require(EVP_DigestUpdate(impl_->context.get(), data.data(), data.size())); }

void sha256_hasher::update_field(std::string_view data) {
  std::array<char, 8> length{};
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>(static_cast<std::uint64_t>(data.size()) >> (8 * i));
  update({length.data(), length.size()});
  update(data);
}

sha256_digest sha256_hasher::finish() {
  sha256_digest out{};
  require(EVP_DigestFinal_ex(impl_->context.get(), out.data(), nullptr));
  require(EVP_DigestInit_ex2(impl_->context.get(), sha256_algorithm(), nullptr));
  return out;
}

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto b = static_cast<unsigned char>(c);
    out.push_back(digits[b >> 4]);
    out.push_back(digits[b & 15]);
  }
  return out;
}

std::string uuid_v5(std::string_view namespace_uuid, std::string_view name) {
  auto d = sha1(uuid_bytes(namespace_uuid).append(name));
  d[6] = static_cast<std::uint8_t>((d[6] & 0x0f) | 0x50); // version 5
  d[8] = static_cast<std::uint8_t>((d[8] & 0x3f) | 0x80); // RFC 4122 variant
  std::string text = to_hex(std::string_view{reinterpret_cast<const char*>(d.data()), 16});
  for (const std::size_t hyphen : {8U, 13U, 18U, 23U})
    text.insert(hyphen, 1, '-');
  return text;
}

} // namespace veranda
