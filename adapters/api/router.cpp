#include "adapters/api/router.hpp"

#include "messages/model/digest.hpp"
#include "messages/model/repository.hpp"

#include <charconv>
#include <vector>

namespace veranda::api {
namespace {

constexpr std::size_t max_segments = 12;
constexpr std::size_t max_parameters = 64;

/// Decoded, non-empty path segments; nothing when one is malformed.
std::optional<std::vector<std::string>> split_path(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    const auto slash = path.find('/');
    const auto piece = path.substr(0, slash);
    path = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (piece.empty())
      continue;
    auto decoded = percent_decode(piece, false);
    if (!decoded || decoded->find('/') != std::string::npos || segments.size() == max_segments)
      return std::nullopt;
    segments.push_back(std::move(*decoded));
  }
  return segments;
}

std::optional<query_map> split_query(std::string_view query) {
  query_map out;
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto piece = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
    if (piece.empty())
      continue;
    const auto equals = piece.find('=');
    auto name = percent_decode(piece.substr(0, equals), true);
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view{} : piece.substr(equals + 1), true);
    if (!name || !value || out.size() == max_parameters)
      return std::nullopt;
    out.emplace(std::move(*name), std::move(*value));
  }
  return out;
}

bool reads(std::string_view method) { return method == "GET" || method == "HEAD"; }

route plain(endpoint where, std::string_view method) {
  route r;
  r.where = where;
  r.action = reads(method) ? verb::get : verb::not_allowed;
  return r;
}

verb collection_verb(std::string_view method, const route& r) {
  if (reads(method))
    return r.flag("watch") && method == "GET" ? verb::watch : verb::list;
  return method == "POST" && r.kind->writable && !r.ns.empty() ? verb::create : verb::not_allowed;
}

verb object_verb(std::string_view method, const kind_info& kind) {
  if (reads(method))
    return verb::get;
  if (!kind.writable)
    return verb::not_allowed;
  if (method == "PUT")
    return verb::update;
  if (method == "PATCH")
    return verb::patch;
  return method == "DELETE" ? verb::remove : verb::not_allowed;
}

/// Below /apis/GROUP/VERSION.
void route_resource(std::string_view method, const std::vector<std::string>& s, route& r) {
  std::size_t at = 3;
  if (s.size() >= 6 && s[3] == "namespaces") {
    r.ns = s[4];
    at = 5;
  }
  r.kind = find_kind(r.group, s[at]);
  if (r.kind == nullptr)
    return;
  const auto rest = s.size() - at - 1;
  if (rest == 0) {
    r.where = endpoint::collection;
    r.action = collection_verb(method, r);
    return;
  }
  if (r.ns.empty()) // every kind is namespaced
    return;
  r.name = s[at + 1];
  if (rest == 1) {
    r.where = endpoint::object;
    r.action = object_verb(method, *r.kind);
  } else if (rest == 2 && s[at + 2] == "status" && r.kind->writable) {
    r.where = endpoint::object_status;
    r.action = reads(method) ? verb::get : verb::not_allowed;
  }
}

route route_apis(std::string_view method, const std::vector<std::string>& s, route r) {
  if (s.size() == 1)
    return plain(endpoint::api_groups, method);
  if (!is_served_group(s[1]))
    return r;
  if (s.size() == 2)
    r = plain(endpoint::api_group, method);
  r.group = s[1];
  if (s.size() == 2 || s[2] != api_names::version)
    return r;
  if (s.size() == 3) {
    r = plain(endpoint::api_resources, method);
    r.group = s[1];
    return r;
  }
  route_resource(method, s, r);
  return r;
}

} // namespace

std::string route::param(std::string_view name_) const {
  const auto found = query.find(name_);
  return found == query.end() ? std::string{} : found->second;
}

bool route::flag(std::string_view name_) const {
  const auto found = query.find(name_);
  return found != query.end() && found->second != "0" && found->second != "false";
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (i + 2 >= text.size())
        return std::nullopt;
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high < 0 || low < 0)
        return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0')
      return std::nullopt;
    out.push_back(c);
  }
  return out;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || n < 0)
    return std::nullopt;
  return n;
}

route route_request(std::string_view method, std::string_view path, std::string_view query) {
  route bad;
  bad.where = endpoint::bad_path;
  auto parameters = split_query(query);
  const auto segments = split_path(path);
  if (!parameters || !segments)
    return bad;
  route r;
  r.query = *parameters;
  const auto& s = *segments;
  if (s.empty())
    return r;
  static const std::map<std::string, endpoint, std::less<>> single{
      {"version", endpoint::version}, {"livez", endpoint::livez},     {"healthz", endpoint::livez}, {"readyz", endpoint::readyz},
      {"metrics", endpoint::metrics}, {"dump", endpoint::dump},       {"explain", endpoint::explain}, {"top", endpoint::top},
      {"api", endpoint::api_versions}};
  if (const auto found = single.find(s[0]); found != single.end()) {
    if (s.size() == 1)
      r = plain(found->second, method);
  } else if (s[0] == "apis") {
    r = route_apis(method, s, r);
  }
  r.query = std::move(*parameters);
  return r;
}

bool is_public(std::string_view path) { return path == "/livez" || path == "/readyz" || path == "/healthz" || path == "/metrics"; }

} // namespace veranda::api
