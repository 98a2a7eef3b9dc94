#include "adapters/kube/api_answer.hpp"

#include "adapters/codec/names.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace veranda::kube {

namespace {

using nlohmann::json;

constexpr std::size_t max_causes = 8;
constexpr std::size_t max_message_bytes = 300;
constexpr std::size_t max_status_bytes = 1U << 20U;
constexpr std::chrono::seconds longest_wait{3600};

struct status_rule {
  int status;
  ec what_to_do;
  std::string_view text;
};

constexpr std::array rules{
  status_rule{400, ec::invalid_spec, "the API server takes the request for malformed"},
  status_rule{401, ec::auth_rejected, "the API server does not accept the credentials"},
  status_rule{403, ec::auth_rejected, "the API server forbids this; check the role bindings of the account"},
  status_rule{404, ec::not_found, "there is no such object"},
  status_rule{405, ec::unsupported, "the API server does not support this operation"},
  status_rule{406, ec::unsupported, "the API server does not speak JSON here"},
  status_rule{407, ec::auth_rejected, "the proxy asks for credentials"},
  status_rule{408, ec::timed_out, "the API server gave up waiting"},
  status_rule{409, ec::conflict, "somebody else wrote the object in between, or created it"},
  status_rule{410, ec::stale, "the position in the object history is too old"},
  status_rule{412, ec::conflict, "the object is no longer what it was"},
  status_rule{413, ec::too_large, "the object is larger than the API server takes"},
  status_rule{415, ec::unsupported, "the API server does not take this kind of body"},
  status_rule{422, ec::invalid_spec, "the API server finds the object invalid"},
  status_rule{429, ec::throttled, "the API server asks for fewer requests"},
  status_rule{501, ec::unsupported, "the API server does not implement this"},
  status_rule{504, ec::timed_out, "the API server did not finish in time"},
};

std::string read_text(const json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::int64_t read_number(const json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

void read_details(const json& details, api_status& out) {
  out.name = read_text(details, "name");
  if (const auto wait = read_number(details, "retryAfterSeconds"); wait > 0) out.retry_after = std::min<std::chrono::milliseconds>(std::chrono::seconds{wait}, longest_wait);
  const auto causes = details.find("causes");
  if (causes == details.end() || !causes->is_array()) return;
  for (const auto& c : *causes)
    if (c.is_object() && out.causes.size() < max_causes) out.causes.push_back({read_text(c, "reason"), read_text(c, "message"), read_text(c, "field")});
}

/// Rules that the number alone does not tell.
std::optional<status_rule> special(const api_status& s) {
  if (s.has_cause("ResourceVersionTooLarge")) return status_rule{504, ec::stale, "the position in the object history is from the future"};
  if (s.reason == "Expired" || s.reason == "Gone") return status_rule{410, ec::stale, "the position in the object history is too old"};
  if (s.reason == "AlreadyExists") return status_rule{409, ec::conflict, "the object exists already"};
  if (s.has_cause("NamespaceTerminating")) return status_rule{403, ec::not_found, "its namespace is being deleted"};
  if (s.code == 404 && s.name.empty()) return status_rule{404, ec::not_found, "the API server does not know this kind of object; install its CRD"};
  return std::nullopt;
}

status_rule rule_for(int status) {
  const auto* found = std::find_if(rules.begin(), rules.end(), [status](const status_rule& r) { return r.status == status; });
  if (found != rules.end()) return *found;
  if (status >= 300 && status < 400) return {status, ec::unsupported, "a redirect was answered; check that the URL is that of an API server"};
  if (status >= 500) return {status, ec::unavailable, "the API server cannot answer now"};
  return {status, ec::unavailable, "the answer is not what an API server says"};
}

bool may_wait(ec code) { return class_of(code) == error_class::retry || class_of(code) == error_class::wait; }

bool looks_like_html(const api_answer& answer) {
  const auto start = answer.body.find_first_not_of(" \t\r\n");
  return answer.content_type.starts_with("text/html") || (start != std::string::npos && answer.body[start] == '<');
}

failure make(const status_rule& rule, int status, const std::string& object) {
  return {rule.what_to_do, std::string{rule.text} + " (HTTP " + std::to_string(status) + ")", object, {}, {}};
}

} // namespace

bool api_status::has_cause(std::string_view wanted) const {
  return std::any_of(causes.begin(), causes.end(), [wanted](const cause& c) { return c.reason == wanted; });
}

std::optional<api_status> parse_status(std::string_view text) {
  if (text.empty() || text.size() > max_status_bytes) return std::nullopt;
  const auto parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object() || read_text(parsed, "kind") != "Status") return std::nullopt;
  api_status out;
  out.code = static_cast<int>(std::clamp<std::int64_t>(read_number(parsed, "code"), 0, 999));
  out.reason = read_text(parsed, "reason");
  out.message = read_text(parsed, "message");
  if (const auto details = parsed.find("details"); details != parsed.end() && details->is_object()) read_details(*details, out);
  return out;
}

failure from_status(const api_status& status, const std::string& object) {
  const auto rule = special(status).value_or(rule_for(status.code));
  auto out = make(rule, status.code, object);
  if (!status.message.empty()) out.what += ": " + codec::shorten(status.message, max_message_bytes);
  if (!status.causes.empty()) out.field = codec::shorten(status.causes.front().field);
  if (may_wait(out.code)) out.retry_after = status.retry_after;
  return out;
}

failure explain(const api_answer& answer, const api_request& request) {
  auto status = parse_status(answer.body);
  failure out;
  if (status) {
    status->code = answer.ok() ? status->code : answer.status;
    out = from_status(*status, request.object);
  } else if (answer.status == 404) {
    // Of a group that it does not serve an API server answers nothing but this, in plain text; so does everybody who is no API server.
    out = {ec::not_found, "this kind of object is not served here (HTTP 404); install its CRD, and check that the URL is that of an API server", request.object, {}, {}};
  } else {
    out = make(rule_for(answer.status), answer.status, request.object);
  }
  if (may_wait(out.code) && answer.retry_after) out.retry_after = std::min<std::chrono::milliseconds>(*answer.retry_after, longest_wait);
  return out;
}

result<std::string> body_of(api_answer answer, const api_request& request) {
  if (!answer.ok()) return explain(answer, request);
  const auto start = answer.body.find_first_not_of(" \t\r\n");
  if (start == std::string::npos) return failure{ec::unavailable, "the API server answered with nothing", request.object, {}, {}};
  if (answer.body[start] == '{') return std::move(answer.body);
  if (looks_like_html(answer))
    return failure{ec::unsupported, "a web page was answered; check that the URL is that of an API server, and that no proxy or login page is in between", request.object, {}, {}};
  return failure{ec::unsupported, "the answer is not JSON; check that the URL is that of an API server", request.object, {}, {}};
}

failure with_right(failure why, int status, api_method method, const std::string& resource, const std::string& ns) {
  constexpr const char* verbs[] = {"get", "create", "update", "patch", "delete"}; // as the methods are numbered
  if (status == 403 && why.code == ec::auth_rejected)
    why.what += std::string{"; grant "} + verbs[static_cast<unsigned>(method)] + " on " + resource + (ns.empty() ? std::string{} : " in namespace " + ns);
  return why;
}

bool already_exists(const api_answer& answer) {
  if (answer.status != 409) return false;
  const auto status = parse_status(answer.body);
  return status && status->reason == "AlreadyExists";
}

} // namespace veranda::kube
