#include "adapters/store/object_semantics.hpp"

#include "adapters/store/sqlite.hpp"

#include <nlohmann/json.hpp>

#include <sys/random.h>

#include <algorithm>

namespace veranda::store::semantics {
namespace {

using nlohmann::json;

constexpr std::size_t max_object_bytes = std::size_t{3} << 20;
constexpr int max_depth = 64;

[[noreturn]] void invalid(std::string what, std::string field = {}) { throw sqlite::error{{ec::invalid_spec, std::move(what), {}, std::move(field), {}}}; }

/// Deepest nesting of brackets outside of strings; looked at before parsing, so that no recursion can be driven deep.
int depth_of(std::string_view text) noexcept {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

template <std::size_t N>
std::array<std::uint8_t, N> random_bytes() {
  std::array<std::uint8_t, N> bytes{};
  for (std::size_t have = 0; have < N;) {
    const auto got = getrandom(bytes.data() + have, N - have, 0);
    if (got < 0 && errno != EINTR)
      throw sqlite::error{{ec::unavailable, "the system gives no random numbers", {}, {}, {}}};
    have += got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  return bytes;
}

/// RFC 4122 version 4.
std::string random_uid() {
  auto bytes = random_bytes<16>();
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3f) | 0x80);
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10)
      text.push_back('-');
    text.push_back(digits[bytes[i] >> 4]);
    text.push_back(digits[bytes[i] & 15]);
  }
  return text;
}

std::string random_suffix() {
  static constexpr std::string_view letters = "bcdfghjklmnpqrstvwxz2456789";
  std::string text;
  for (const auto byte : random_bytes<5>())
    text.push_back(letters[byte % letters.size()]);
  return text;
}

void require_shape(const json& object) {
  for (const char* member : {"apiVersion", "kind"})
    if (const auto at = object.find(member); at == object.end() || !at->is_string() || at->get_ref<const std::string&>().empty())
      invalid("must be given", member);
  const auto meta = object.find("metadata");
  if (meta == object.end() || !meta->is_object())
    invalid("must be an object", "metadata");
  if (const auto finalizers = meta->find("finalizers"); finalizers != meta->end() && !finalizers->is_null()) {
    if (!finalizers->is_array() || !std::all_of(finalizers->begin(), finalizers->end(), [](const json& f) { return f.is_string(); }))
      invalid("must be a list of names", "metadata.finalizers");
  }
}

/// Members of the metadata that only the server sets.
constexpr const char* owned[] = {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "resourceVersion"};

void drop_noise(json& meta) {
  meta.erase("managedFields");
  meta.erase("selfLink");
  for (const char* member : {"finalizers", "labels", "annotations", "ownerReferences"})
    if (const auto at = meta.find(member); at != meta.end() && (at->is_null() || at->empty()))
      meta.erase(at);
}

/// The object without metadata and status: what the generation counts.
json counted(json object) {
  object.erase("metadata");
  object.erase("status");
  return object;
}

void refuse_new_finalizers(const json& stored, const json& given) {
  const auto before = stored.at("metadata").value("finalizers", json::array());
  for (const auto& f : given.at("metadata").value("finalizers", json::array()))
    if (std::find(before.begin(), before.end(), f) == before.end())
      invalid("no finalizer can be added to an object that is being deleted", "metadata.finalizers");
}

} // namespace

json parse_object(const std::string& text) {
  if (text.size() > max_object_bytes)
    throw sqlite::error{{ec::too_large, "the object has " + std::to_string(text.size()) + " bytes, at most 3 MiB are stored", {}, {}, {}}};
  if (depth_of(text) > max_depth)
    throw sqlite::error{{ec::too_large, "the object is nested more than 64 levels deep", {}, {}, {}}};
  auto object = json::parse(text, nullptr, false);
  if (!object.is_object())
    invalid("must be a JSON object");
  return object;
}

std::string meta_text(const json& object, const char* member) {
  const auto meta = object.find("metadata");
  if (meta == object.end() || !meta->is_object())
    return {};
  const auto at = meta->find(member);
  if (at == meta->end() || at->is_null())
    return {};
  if (!at->is_string())
    invalid("must be text", std::string{"metadata."} + member);
  return *at;
}

std::int64_t generation_of(const json& object) { return object.at("metadata").value("generation", std::int64_t{0}); }

object_key key_of(const json& object) {
  require_shape(object);
  object_key key{meta_text(object, "namespace"), meta_text(object, "name")};
  if (key.name.empty())
    invalid("must be given", "metadata.name");
  return key;
}

json created(json given, wall_time now) {
  require_shape(given);
  auto& meta = given["metadata"];
  if (!meta_text(given, "resourceVersion").empty())
    invalid("must not be set on an object to be created", "metadata.resourceVersion");
  if (meta_text(given, "name").empty() && !meta_text(given, "generateName").empty())
    meta["name"] = meta_text(given, "generateName") + random_suffix();
  given.erase("status");
  for (const char* member : owned)
    meta.erase(member);
  drop_noise(meta);
  meta["uid"] = random_uid();
  meta["creationTimestamp"] = format_rfc3339(now);
  meta["generation"] = 1;
  return given;
}

json replaced(const json& stored, json given) {
  require_shape(given);
  if (given["kind"] != stored["kind"])
    invalid("must stay " + stored["kind"].get<std::string>(), "kind");
  auto& meta = given["metadata"];
  const auto& stored_meta = stored["metadata"];
  for (const char* member : owned) {
    meta.erase(member);
    if (const auto at = stored_meta.find(member); at != stored_meta.end())
      meta[member] = *at;
  }
  drop_noise(meta);
  given.erase("status");
  if (const auto status = stored.find("status"); status != stored.end())
    given["status"] = *status;
  if (is_marked_deleted(stored))
    refuse_new_finalizers(stored, given);
  if (counted(given) != counted(stored))
    meta["generation"] = generation_of(stored) + 1;
  return given;
}

json with_status(const json& stored, json status) {
  json next = stored;
  if (status.empty() && !stored.contains("status"))
    return next;
  next["status"] = std::move(status);
  return next;
}

json marked_deleted(const json& stored, wall_time now) {
  json next = stored;
  auto& meta = next["metadata"];
  meta["deletionTimestamp"] = format_rfc3339(now);
  meta["deletionGracePeriodSeconds"] = 0;
  meta["generation"] = generation_of(stored) + 1;
  return next;
}

bool has_finalizers(const json& object) {
  const auto at = object.at("metadata").find("finalizers");
  return at != object.at("metadata").end() && !at->empty();
}

bool is_marked_deleted(const json& object) { return object.at("metadata").contains("deletionTimestamp"); }

} // namespace veranda::store::semantics
