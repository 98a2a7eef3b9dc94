#include "adapters/api/writing.hpp"

#include "adapters/api/status.hpp"
#include "adapters/codec/repository_codec.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace veranda::api {
namespace {

using nlohmann::json;

constexpr int max_depth = 64;

/// Parses a JSON object of bounded depth.
std::optional<json> parse_object(std::string_view text) {
  const json::parser_callback_t bounded = [](int depth, json::parse_event_t, json&) {
    if (depth > max_depth)
      throw std::length_error{"nested too deeply"};
    return true;
  };
  try {
    auto parsed = json::parse(text, bounded, false);
    if (parsed.is_object())
      return parsed;
  } catch (const std::exception&) {
  }
  return std::nullopt;
}

std::string dump(const json& j) { return j.dump(-1, ' ', false, json::error_handler_t::replace); }

/// `object[outer][inner]` as text, empty when absent.
std::string text_in(const json& object, const char* outer, std::string_view inner) {
  const auto o = object.find(outer);
  if (o == object.end() || !o->is_object())
    return {};
  const auto i = o->find(std::string{inner});
  return i != o->end() && i->is_string() ? i->get<std::string>() : std::string{};
}

/// The file that owns an object, empty when none does.
std::string owner_of(const json& object) {
  const auto m = object.find("metadata");
  return m == object.end() || !m->is_object() ? std::string{} : text_in(*m, "annotations", api_names::managed_by_annotation);
}

/// True when a body sets or removes the annotation that says which file owns the object.
bool names_owner(const json& body) {
  const auto m = body.find("metadata");
  if (m == body.end() || !m->is_object())
    return false;
  const auto a = m->find("annotations");
  return a != m->end() && a->is_object() && a->contains(std::string{api_names::managed_by_annotation});
}

/// One write request on its way through the checks.
class write_request {
public:
  write_request(const route& r, const request& q, reader_pool& readers, object_writer& writer)
      : r_(r), q_(q), readers_(readers), writer_(writer), about_{r.kind, r.name} {}

  reply answer() {
    if (!r_.param("dryRun").empty())
      return bad_request("dryRun is not supported");
    switch (r_.action) {
    case verb::create:
      return create();
    case verb::update:
      return update();
    case verb::patch:
      return patch();
    default:
      return remove();
    }
  }

private:
  reply bad_request(std::string_view message) { return status_reply(400, "BadRequest", message, about_); }

  /// Names of body and URL must agree; what the body leaves out comes from the URL. Answers the problem.
  std::optional<reply> complete(json& body) {
    if (const auto v = body.value("apiVersion", json{}); v != r_.kind->api_version())
      return bad_request("the API version in the data does not match the expected API version (" + r_.kind->api_version() + ")");
    if (const auto k = body.value("kind", json{}); k != std::string{r_.kind->kind})
      return bad_request("the kind in the data does not match the expected kind (" + std::string{r_.kind->kind} + ")");
    auto& metadata = body["metadata"];
    if (metadata.is_null())
      metadata = json::object();
    if (!metadata.is_object())
      return bad_request("metadata: must be an object");
    for (const auto* field : {"name", "namespace"}) {
      const auto& wanted = field == std::string_view{"name"} ? r_.name : r_.ns;
      const auto found = metadata.find(field);
      if (found == metadata.end())
        metadata[field] = wanted;
      else if (!found->is_string() || (!wanted.empty() && *found != wanted))
        return bad_request("the " + std::string{field} + " of the object does not match the " + field + " on the URL");
    }
    about_.name = metadata["name"].get<std::string>();
    if (about_.name.empty())
      return status_reply(422, "Invalid", "metadata.name: Required value: name is required", about_, {{"metadata.name", "", "Required value: name is required"}});
    return std::nullopt;
  }

  /// The rules of a Repository. Those that the stored object breaks already do not hinder a write that does not touch them.
  std::optional<reply> check(const json& body, const json* stored) {
    const auto decoded = codec::decode_repository(dump(body));
    if (!decoded)
      return invalid({{decoded.error().field, "", decoded.error().what}});
    std::vector<field_problem> known;
    if (stored != nullptr)
      if (const auto before = codec::decode_repository(dump(*stored)))
        known = before->problems;
    std::vector<field_problem> fresh;
    for (const auto& p : decoded->problems)
      if (std::find(known.begin(), known.end(), p) == known.end())
        fresh.push_back(p);
    if (fresh.empty())
      return std::nullopt;
    return invalid(fresh);
  }

  reply invalid(const std::vector<field_problem>& problems) {
    std::string message = std::string{r_.kind->kind} + "." + std::string{r_.kind->group} + " \"" + about_.name + "\" is invalid: ";
    for (const auto& p : problems)
      message += (&p == problems.data() ? "" : "; ") + describe(p);
    return status_reply(422, "Invalid", message, about_, problems);
  }

  std::optional<json> body_object() {
    if (!q_.content_type.empty() && !q_.content_type.starts_with("application/json"))
      return std::nullopt;
    return parse_object(q_.body);
  }

  reply body_problem() {
    if (!q_.content_type.empty() && !q_.content_type.starts_with("application/json"))
      return status_reply(415, "UnsupportedMediaType", "the body must be application/json", about_);
    return bad_request("the body is not a JSON object of reasonable depth");
  }

  /// The stored object, or the answer when there is none.
  result<json> stored(std::optional<reply>& problem) {
    const auto reader = readers_.objects();
    const failure away{ec::unavailable, "the object store cannot be read now", {}, {}, {}};
    if (!reader) {
      problem = failure_reply(away, about_);
      return away;
    }
    auto found = reader->get(r_.kind->resource(), {r_.ns, r_.name});
    if (!found) {
      problem = failure_reply(found.error(), about_);
      return found.error();
    }
    if (!found->has_value()) {
      problem = not_found_reply(about_);
      return failure{ec::not_found, "not found", r_.name, {}, {}};
    }
    auto parsed = parse_object((*found)->json);
    return parsed ? std::move(*parsed) : json::object();
  }

  reply owned_by(const std::string& file, std::string_view verb_name) {
    return status_reply(403, "Forbidden",
                        r_.kind->resource() + " \"" + r_.name + "\" is managed by the manifest file " + file + ": " + std::string{verb_name} +
                            " it there; only annotations can be changed here",
                        about_);
  }

  reply owner_annotation_refused() {
    return invalid({{"metadata.annotations[" + std::string{api_names::managed_by_annotation} + "]", "", "is set by the daemon alone"}});
  }

  reply create() {
    auto body = body_object();
    if (!body)
      return body_problem();
    if (auto problem = complete(*body))
      return std::move(*problem);
    if (!text_in(*body, "metadata", "resourceVersion").empty())
      return bad_request("resourceVersion should not be set on objects to be created");
    if (names_owner(*body))
      return owner_annotation_refused();
    if (auto problem = check(*body, nullptr))
      return std::move(*problem);
    auto made = writer_.create(r_.kind->resource(), dump(*body));
    if (!made)
      return failure_reply(made.error(), about_, true);
    reply out;
    out.status = 201;
    out.body = std::move(made->json);
    return out;
  }

  reply update() {
    auto body = body_object();
    if (!body)
      return body_problem();
    if (auto problem = complete(*body))
      return std::move(*problem);
    std::optional<reply> problem;
    const auto before = stored(problem);
    if (!before)
      return std::move(*problem);
    if (const auto file = owner_of(*before); !file.empty())
      return owned_by(file, "change");
    if (names_owner(*body))
      return owner_annotation_refused();
    if (text_in(*body, "metadata", "resourceVersion").empty())
      return status_reply(422, "Invalid", "metadata.resourceVersion: Invalid value: must be specified for an update", about_,
                          {{"metadata.resourceVersion", "", "must be specified for an update"}});
    if (auto bad = check(*body, &*before))
      return std::move(*bad);
    return written(writer_.update(r_.kind->resource(), dump(*body)));
  }

  reply patch() {
    if (!q_.content_type.starts_with("application/merge-patch+json"))
      return status_reply(415, "UnsupportedMediaType", "the body must be application/merge-patch+json", about_);
    auto body = parse_object(q_.body);
    if (!body)
      return bad_request("the body is not a JSON object of reasonable depth");
    std::optional<reply> problem;
    const auto before = stored(problem);
    if (!before)
      return std::move(*problem);
    if (names_owner(*body))
      return owner_annotation_refused();
    if (const auto file = owner_of(*before); !file.empty() && !touches_only_annotations(q_.body))
      return owned_by(file, "change");
    auto merged = *before;
    merged.merge_patch(*body);
    if (!merged.is_object())
      return bad_request("the patch leaves no object");
    merged.erase("status");
    if (auto bad = complete(merged))
      return std::move(*bad);
    if (auto bad = check(merged, &*before))
      return std::move(*bad);
    return written(writer_.merge_patch(r_.kind->resource(), {r_.ns, r_.name}, q_.body));
  }

  /// Preconditions of a DELETE's options: uid and resourceVersion.
  std::optional<reply> preconditions_broken(const json& before) {
    const auto options = q_.body.empty() ? std::optional<json>{json::object()} : parse_object(q_.body);
    if (!options)
      return bad_request("the body is not a DeleteOptions object");
    for (const auto* field : {"uid", "resourceVersion"}) {
      const auto wanted = text_in(*options, "preconditions", field);
      if (!wanted.empty() && wanted != text_in(before, "metadata", field))
        return status_reply(409, "Conflict", "Precondition failed: " + std::string{field} + " in precondition: " + wanted + ", in the object: " + text_in(before, "metadata", field), about_);
    }
    return std::nullopt;
  }

  reply remove() {
    std::optional<reply> problem;
    const auto before = stored(problem);
    if (!before)
      return std::move(*problem);
    if (auto broken = preconditions_broken(*before))
      return std::move(*broken);
    if (const auto file = owner_of(*before); !file.empty())
      return owned_by(file, "remove");
    auto gone = writer_.remove(r_.kind->resource(), {r_.ns, r_.name});
    if (!gone)
      return failure_reply(gone.error(), about_);
    const auto after = parse_object(gone->json);
    reply out;
    const bool waiting = after && !text_in(*after, "metadata", "deletionTimestamp").empty();
    out.body = waiting ? std::move(gone->json) : success_json(about_, gone->uid);
    return out;
  }

  reply written(result<store::stored_object> outcome) {
    if (!outcome)
      return failure_reply(outcome.error(), about_);
    reply out;
    out.body = std::move(outcome->json);
    return out;
  }

  const route& r_;
  const request& q_;
  reader_pool& readers_;
  object_writer& writer_;
  status_subject about_;
};

} // namespace

bool touches_only_annotations(std::string_view patch) {
  const auto body = parse_object(patch);
  if (!body)
    return false;
  for (const auto& [key, value] : body->items()) {
    if (key == "apiVersion" || key == "kind")
      continue;
    if (key != "metadata" || !value.is_object())
      return false;
    for (const auto& [field, _] : value.items())
      if (field != "annotations" && field != "name" && field != "namespace" && field != "resourceVersion" && field != "uid")
        return false;
    const auto annotations = value.find("annotations");
    if (annotations == value.end())
      continue;
    if (!annotations->is_object() || annotations->contains(std::string{api_names::managed_by_annotation}))
      return false;
  }
  return true;
}

reply write_object(const route& r, const request& q, reader_pool& readers, object_writer& writer) {
  return write_request{r, q, readers, writer}.answer();
}

} // namespace veranda::api
