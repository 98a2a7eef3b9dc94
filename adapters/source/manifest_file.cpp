#include "adapters/source/manifest_file.hpp"

#include "adapters/codec/names.hpp"
#include "adapters/codec/repository_codec.hpp"
#include "adapters/source/base64.hpp"
#include "adapters/source/secret_digest.hpp"
#include "adapters/source/yaml_json.hpp"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

namespace veranda::source {
namespace {

using nlohmann::json;

constexpr const char* repository_api = "config.porch.kpt.dev/v1alpha1";

std::string text_of(const json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  return it != object.end() && it->is_string() ? it->get<std::string>() : std::string{};
}

bool is_list(const json& object) {
  const auto kind = text_of(object, "kind");
  return (kind == "List" || kind == "RepositoryList" || kind == "SecretList") && object.contains("items");
}

/// Calls `f` for the object, or for each item of a List; false when `left` ran out.
bool for_each_item(json& object, std::uint32_t& left, const std::function<void(json&)>& f) {
  if (left == 0)
    return false;
  if (!is_list(object)) {
    --left;
    f(object);
    return true;
  }
  json& items = object["items"];
  if (items.is_null())
    return true;
  if (!items.is_array()) {
    f(items);
    return true;
  }
  const auto kind = text_of(object, "kind");
  for (json& item : items) {
    if (kind != "List" && item.is_object()) { // items of a typed list may leave their type out
      item.emplace("kind", kind.substr(0, kind.size() - 4));
      item.emplace("apiVersion", object.value("apiVersion", json()));
    }
    if (!for_each_item(item, left, f))
      return false;
  }
  return true;
}

struct secret_reading {
  secret_bytes bytes;
  std::vector<field_problem> problems; ///< never with a value
};

bool secret_key_name(std::string_view name) {
  return !name.empty() && name.size() <= 253 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

/// Adds `data` or `stringData` of a Secret.
void read_secret_map(const json& secret, const char* field, bool base64, secret_reading& out) {
  const auto it = secret.find(field);
  if (it == secret.end() || it->is_null())
    return;
  if (!it->is_object()) {
    out.problems.push_back({field, "", "must be a map from names to values"});
    return;
  }
  for (const auto& [name, value] : it->items()) {
    const std::string path = std::string{field} + "." + codec::shorten(name);
    auto decoded = !value.is_string() ? std::nullopt : base64 ? decode_base64(value.get<std::string>()) : std::optional{value.get<std::string>()};
    if (!secret_key_name(name))
      out.problems.push_back({field, "", "must have keys of letters, digits, '-', '_' and '.'"});
    else if (!value.is_string() && !value.is_null())
      out.problems.push_back({path, "", "must be a string; put it in quotes"});
    else if (value.is_null())
      out.bytes.data[name].clear();
    else if (!decoded)
      out.problems.push_back({path, "", "must be base64"});
    else
      out.bytes.data[name] = *std::move(decoded);
  }
}

secret_reading read_secret_object(const json& secret) {
  secret_reading out;
  const auto type = secret.find("type");
  if (type != secret.end() && !type->is_null() && !type->is_string())
    out.problems.push_back({"type", "", "must be a string"});
  out.bytes.type = text_of(secret, "type");
  if (out.bytes.type.empty())
    out.bytes.type = "Opaque";
  read_secret_map(secret, "data", true, out);
  read_secret_map(secret, "stringData", false, out);
  if (const auto notes = secret["metadata"].find("annotations"); notes != secret["metadata"].end() && notes->is_object())
    for (const auto& [name, value] : notes->items())
      if (value.is_string())
        out.bytes.annotations[name] = value.get<std::string>();
  return out;
}

/// What of a Secret may be stored: no data, no field that we do not know, no annotation in which kubectl keeps a copy of the data.
json redacted_secret(const json& secret, const secret_reading& reading, const std::string& key) {
  json out{{"apiVersion", "v1"}, {"kind", "Secret"}, {"type", reading.bytes.type}};
  json& meta = out["metadata"] = secret["metadata"];
  std::string keys;
  for (const auto& [name, value] : reading.bytes.data)
    keys += (keys.empty() ? "" : ",") + name;
  if (!meta["annotations"].is_object())
    meta["annotations"] = json::object();
  meta["annotations"][std::string{secret_keys_annotation}] = keys;
  meta["annotations"][std::string{secret_digest_annotation}] = keyed_digest(key, reading.bytes.type, reading.bytes.data);
  return out;
}

/// Removes what a server sets and what other tools note down: files saved from a cluster carry it.
void strip_server_fields(json& object) {
  object.erase("status");
  json& meta = object["metadata"];
  for (const char* name : {"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
                           "managedFields", "selfLink"})
    meta.erase(name);
  if (const auto notes = meta.find("annotations"); notes != meta.end() && notes->is_object())
    for (const std::string_view name : {std::string_view{"kubectl.kubernetes.io/last-applied-configuration"}, last_applied_annotation,
                                        api_names::managed_by_annotation, secret_keys_annotation, secret_digest_annotation})
      notes->erase(std::string{name});
}

enum class object_kind : std::uint8_t { other, repository, secret };

/// Reads the objects of one file.
class file_interpreter {
public:
  file_interpreter(const std::string& file, const std::string& secret_key, manifest_file& out) : file_(file), secret_key_(secret_key), out_(out) {}

  void document(int number) { number_ = number; }

  void broken(const std::string& rule, std::string field = {}, std::string object = {}) {
    out_.broken = true;
    report(std::move(object), std::move(field), {}, rule);
  }

  void object(json& object) {
    if (!object.is_object())
      return broken("must be a Kubernetes object");
    const object_kind kind = kind_of(object);
    if (kind == object_kind::other)
      return;
    const auto key = identify(object);
    if (!key)
      return;
    strip_server_fields(object);
    if (kind == object_kind::repository)
      repository(object, *key);
    else
      secret(object, *key);
  }

private:
  void report(std::string object, std::string field, std::string value, const std::string& rule) {
    out_.problems.push_back({file_, number_, std::move(object), std::move(field), std::move(value), rule});
  }

  object_kind kind_of(const json& object) {
    const auto kind = text_of(object, "kind");
    const auto api = text_of(object, "apiVersion");
    if (kind == "Repository" && api == repository_api)
      return object_kind::repository;
    if (kind == "Secret" && api == "v1")
      return object_kind::secret;
    if (kind.empty()) {
      broken("is required", "kind");
    } else if (kind == "Repository" || kind == "Secret") {
      out_.broken = true; // most likely a slip in an object that was read before
      report(kind, "apiVersion", codec::shorten(api), "must be " + std::string{kind == "Secret" ? "v1" : repository_api});
    } else {
      report(codec::shorten(kind), "kind", codec::shorten(kind), "is ignored: only Repository, Secret and lists of them are read");
    }
    return object_kind::other;
  }

  /// Its key, with the namespace filled in.
  std::optional<object_key> identify(json& object) {
    const auto kind = text_of(object, "kind");
    const auto meta = object.find("metadata");
    if (meta == object.end() || !meta->is_object())
      return broken("must be an object with a name", "metadata", kind), std::nullopt;
    object_key key{text_of(*meta, "namespace"), text_of(*meta, "name")};
    if (!codec::usable_name(key.name))
      return broken("must be a name", "metadata.name", kind), std::nullopt;
    const auto ns = meta->find("namespace");
    const bool has_ns = ns != meta->end() && !ns->is_null() && !(ns->is_string() && key.ns.empty());
    if (has_ns && !codec::usable_name(key.ns))
      return broken("must be the name of a namespace", "metadata.namespace", kind + " " + codec::shorten(key.name)), std::nullopt;
    if (!has_ns)
      (*meta)["namespace"] = key.ns = "default";
    return key;
  }

  void add(std::string_view resource, const object_key& key, std::string text, bool valid) {
    out_.objects.push_back({std::string{resource}, key, file_, number_, std::move(text), valid});
  }

  void report_all(const std::string& object, const std::vector<field_problem>& problems) {
    for (const auto& p : problems)
      report(object, p.field, p.value, p.rule);
  }

  void repository(const json& object, const object_key& key) {
    const std::string name = "Repository " + codec::shorten(to_string(key));
    std::string text = object.dump();
    const auto decoded = codec::decode_repository(text);
    if (!decoded)
      return broken(decoded.error().what, decoded.error().field, name);
    report_all(name, decoded->problems);
    add(repositories_resource, key, std::move(text), decoded->problems.empty());
  }

  void secret(const json& object, const object_key& key) {
    const auto reading = read_secret_object(object);
    auto problems = reading.problems;
    if (!codec::rfc1123_subdomain(key.name))
      problems.push_back({"metadata.name", codec::shorten(key.name), "must be an RFC 1123 subdomain"});
    if (!codec::rfc1123_label(key.ns))
      problems.push_back({"metadata.namespace", codec::shorten(key.ns), "must be an RFC 1123 label"});
    report_all("Secret " + codec::shorten(to_string(key)), problems);
    if (problems.empty())
      add(secrets_resource, key, redacted_secret(object, reading, secret_key_).dump(), true);
    else
      out_.broken = true; // nothing of it may be stored, and its last good version stays
  }

  const std::string& file_;
  const std::string& secret_key_;
  manifest_file& out_;
  int number_ = 0;
};

bool json_file(const std::string& file) { return file.ends_with(".json"); }

} // namespace

manifest_file read_manifest(std::string_view text, const std::string& file, const manifest_limits& limits, const std::string& secret_key) {
  manifest_file out;
  file_interpreter interpreter{file, secret_key, out};
  std::uint32_t left = limits.max_documents;
  for (const json_document& document : read_documents(text, json_file(file), limits)) {
    interpreter.document(document.number);
    if (!document.error.empty()) {
      interpreter.broken(document.error);
      continue;
    }
    json object = json::parse(document.json);
    if (!for_each_item(object, left, [&](json& one) { interpreter.object(one); })) {
      interpreter.broken("is beyond the limit of " + std::to_string(limits.max_documents) + " objects in one file");
      break;
    }
  }
  return out;
}

std::optional<result<secret_bytes>> find_secret(std::string_view text, const std::string& file, const object_key& key, const manifest_limits& limits) {
  std::optional<result<secret_bytes>> found;
  std::uint32_t left = limits.max_documents;
  const auto look = [&](json& object) {
    if (found || text_of(object, "kind") != "Secret" || text_of(object, "apiVersion") != "v1" || !object.contains("metadata"))
      return;
    const json& meta = object["metadata"];
    const auto ns = text_of(meta, "namespace");
    if (text_of(meta, "name") != key.name || (ns.empty() ? "default" : ns) != key.ns)
      return;
    auto reading = read_secret_object(object);
    if (reading.problems.empty())
      found.emplace(std::move(reading.bytes));
    else
      found.emplace(failure{ec::auth_rejected, reading.problems.front().rule, "Secret " + to_string(key), reading.problems.front().field, std::nullopt});
  };
  for (const json_document& document : read_documents(text, json_file(file), limits)) {
    if (found || !document.error.empty())
      continue;
    json object = json::parse(document.json);
    for_each_item(object, left, look);
  }
  return found;
}

} // namespace veranda::source
