#include "adapters/api/status.hpp"

#include <nlohmann/json.hpp>

namespace veranda::api {
namespace {

using nlohmann::json;

std::string dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

json details_of(const status_subject& about) {
  json details = json::object();
  if (!about.name.empty())
    details["name"] = about.name;
  if (about.kind != nullptr) {
    details["group"] = about.kind->group;
    details["kind"] = about.kind->plural;
  }
  return details;
}

struct http_error {
  int code;
  const char* reason;
};

http_error http_error_of(ec code, bool creating) {
  switch (code) {
  case ec::conflict:
    return {409, creating ? "AlreadyExists" : "Conflict"};
  case ec::not_found:
    return {404, "NotFound"};
  case ec::invalid_spec:
    return {422, "Invalid"};
  case ec::too_large:
    return {413, "RequestEntityTooLarge"};
  case ec::unsupported:
    return {415, "UnsupportedMediaType"};
  case ec::auth_rejected:
    return {403, "Forbidden"};
  case ec::stale:
    return {410, "Expired"};
  case ec::throttled:
    return {429, "TooManyRequests"};
  case ec::timed_out:
    return {504, "Timeout"};
  case ec::unavailable:
  case ec::unreachable:
  case ec::overloaded:
  case ec::host_unavailable:
  case ec::dependency_missing:
  case ec::cancelled:
  case ec::shutting_down:
    return {503, "ServiceUnavailable"};
  case ec::checksum_mismatch:
  case ec::corrupt_cache:
  case ec::internal:
    break;
  }
  return {500, "InternalError"};
}

} // namespace

std::string json_text(std::string_view text) { return dump(json(std::string{text})); }

std::string status_json(int code, std::string_view reason, std::string_view message, const status_subject& about,
                        const std::vector<field_problem>& causes) {
  json details = details_of(about);
  for (const auto& c : causes)
    details["causes"].push_back({{"reason", "FieldValueInvalid"}, {"message", c.value.empty() ? c.rule : "Invalid value: \"" + c.value + "\": " + c.rule}, {"field", c.field}});
  if (code == 503 || code == 504 || code == 429)
    details["retryAfterSeconds"] = 1;
  json status{{"kind", "Status"},      {"apiVersion", "v1"}, {"metadata", json::object()}, {"status", "Failure"},
              {"message", std::string{message}}, {"reason", std::string{reason}}, {"code", code}};
  if (!details.empty())
    status["details"] = std::move(details);
  return dump(status);
}

reply status_reply(int code, std::string_view reason, std::string_view message, const status_subject& about,
                   const std::vector<field_problem>& causes) {
  reply r;
  r.status = code;
  r.body = status_json(code, reason, message, about, causes);
  if (code == 429 || code == 503 || code == 504)
    r.headers.emplace_back("Retry-After", "1");
  return r;
}

reply failure_reply(const failure& f, const status_subject& about, bool creating) {
  const auto error = http_error_of(f.code, creating);
  auto message = describe(f);
  if (f.code == ec::not_found && about.kind != nullptr && !about.name.empty())
    return not_found_reply(about);
  if (f.code == ec::conflict && creating && about.kind != nullptr)
    message = about.kind->resource() + " \"" + about.name + "\" already exists";
  return status_reply(error.code, error.reason, message, about);
}

reply not_found_reply(const status_subject& about) {
  if (about.kind == nullptr)
    return status_reply(404, "NotFound", "the server could not find the requested resource");
  return status_reply(404, "NotFound", about.kind->resource() + " \"" + about.name + "\" not found", about);
}

std::string success_json(const status_subject& about, std::string_view uid) {
  json details = details_of(about);
  details["uid"] = std::string{uid};
  return dump({{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", json::object()}, {"status", "Success"}, {"details", details}});
}

} // namespace veranda::api
