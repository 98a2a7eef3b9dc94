#include "tools/veranda/manifests.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

namespace veranda::cli {
namespace {

constexpr std::size_t max_file_bytes = 16U << 20U;
constexpr std::size_t max_nodes = 1'000'000;
constexpr int max_depth = 64;

/// A scalar that is not quoted, by YAML 1.2's core rules.
json plain_scalar(const std::string& s) {
  if (s.empty() || s == "~" || s == "null" || s == "Null" || s == "NULL")
    return nullptr;
  if (s == "true" || s == "True" || s == "TRUE")
    return true;
  if (s == "false" || s == "False" || s == "FALSE")
    return false;
  std::int64_t whole = 0;
  const auto* end = s.data() + s.size();
  if (const auto r = std::from_chars(s.data(), end, whole); r.ec == std::errc{} && r.ptr == end)
    return whole;
  double real = 0;
  const bool numeric = s.find_first_not_of("0123456789+-.eE") == std::string::npos;
  if (const auto r = std::from_chars(s.data(), end, real); numeric && r.ec == std::errc{} && r.ptr == end)
    return real;
  return s;
}

class converter {
public:
  json convert(const YAML::Node& node, int depth = 0) {
    if (++nodes_ > max_nodes || depth > max_depth)
      throw std::runtime_error{"it is nested too deeply or too large"};
    if (node.IsScalar())
      return node.Tag() == "?" ? plain_scalar(node.Scalar()) : json(node.Scalar());
    if (node.IsSequence()) {
      json out = json::array();
      for (const auto& item : node)
        out.push_back(convert(item, depth + 1));
      return out;
    }
    if (!node.IsMap())
      return nullptr;
    json out = json::object();
    for (const auto& pair : node) {
      const auto key = pair.first.Scalar();
      if (!pair.first.IsScalar() || out.contains(key))
        throw std::runtime_error{"key \"" + key + "\" is given twice or is not text"};
      out[key] = convert(pair.second, depth + 1);
    }
    return out;
  }

private:
  std::size_t nodes_ = 0;
};

failure unreadable(const std::string& file, std::string why) { return {ec::invalid_spec, std::move(why), file, {}, {}}; }

void add(std::vector<manifest>& out, const std::string& source, json object) {
  const auto kind = object.value("kind", json{});
  if (object.contains("items") && object["items"].is_array() && kind.is_string() && kind.get<std::string>().ends_with("List")) {
    for (auto& item : object["items"])
      if (item.is_object())
        add(out, source, std::move(item));
    return;
  }
  out.push_back({source, std::move(object)});
}

result<void> read_text(const std::string& file, const std::string& text, std::vector<manifest>& out) {
  try {
    int number = 0;
    converter to_json;
    for (const auto& document : YAML::LoadAll(text)) {
      ++number;
      if (document.IsNull())
        continue;
      auto object = to_json.convert(document);
      const auto source = file + ": document " + std::to_string(number);
      if (!object.is_object())
        return unreadable(source, "is not an object");
      add(out, source, std::move(object));
    }
  } catch (const std::exception& e) {
    return unreadable(file, std::string{"cannot be read as YAML or JSON: "} + e.what());
  }
  return {};
}

result<void> read_stream(const std::string& name, std::istream& in, std::vector<manifest>& out) {
  std::string text(max_file_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_file_bytes)
    return failure{ec::too_large, "is larger than 16 MiB", name, {}, {}};
  return read_text(name, text, out);
}

bool is_manifest(const std::filesystem::path& p) {
  const auto e = p.extension();
  return (e == ".yaml" || e == ".yml" || e == ".json") && !p.filename().string().starts_with('.');
}

result<void> read_file(const std::filesystem::path& file, std::vector<manifest>& out) {
  std::ifstream in{file, std::ios::binary};
  if (!in)
    return failure{ec::not_found, "cannot be opened", file.string(), {}, {}};
  return read_stream(file.string(), in, out);
}

} // namespace

result<std::vector<manifest>> read_manifests(const std::vector<std::string>& files) {
  std::vector<manifest> out;
  for (const auto& name : files) {
    if (name == "-") {
      if (const auto ok = read_stream("standard input", std::cin, out); !ok)
        return ok.error();
      continue;
    }
    std::vector<std::filesystem::path> paths{name};
    std::error_code error;
    if (std::filesystem::is_directory(name, error)) {
      paths.clear();
      for (const auto& entry : std::filesystem::directory_iterator{name, error})
        if (is_manifest(entry.path()))
          paths.push_back(entry.path());
      std::sort(paths.begin(), paths.end());
    }
    for (const auto& path : paths)
      if (const auto ok = read_file(path, out); !ok)
        return ok.error();
  }
  return out;
}

json three_way_patch(const json& last, const json& wanted, const json& live) {
  json patch = json::object();
  for (const auto& [key, value] : wanted.items()) {
    const auto now = live.find(key);
    if (now == live.end()) {
      patch[key] = value;
    } else if (value.is_object() && now->is_object()) {
      auto inner = three_way_patch(last.is_object() && last.contains(key) && last[key].is_object() ? last[key] : json::object(), value, *now);
      if (!inner.empty())
        patch[key] = std::move(inner);
    } else if (*now != value) {
      patch[key] = value;
    }
  }
  if (last.is_object())
    for (const auto& [key, _] : last.items())
      if (!wanted.contains(key) && live.contains(key))
        patch[key] = nullptr;
  return patch;
}

} // namespace veranda::cli
