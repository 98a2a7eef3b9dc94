#include "adapters/api/handler.hpp"

#include "adapters/api/discovery_documents.hpp"
#include "adapters/api/listing.hpp"
#include "adapters/api/status.hpp"
#include "adapters/api/watching.hpp"
#include "adapters/api/writing.hpp"

namespace veranda::api {
namespace {

reply text_reply(int status, std::string body, std::string content_type = "text/plain; charset=utf-8") {
  reply out;
  out.status = status;
  out.content_type = std::move(content_type);
  out.body = std::move(body);
  return out;
}

reply json_reply(std::string body) {
  reply out;
  out.body = std::move(body);
  return out;
}

reply probe_reply(const std::function<probe()>& ask, bool verbose) {
  if (!ask)
    return text_reply(200, "ok\n");
  auto p = ask();
  if (p.ok && !verbose)
    return text_reply(200, "ok\n");
  if (!p.text.empty() && p.text.back() != '\n')
    p.text += '\n';
  return text_reply(p.ok ? 200 : 503, std::move(p.text));
}

} // namespace

lane request_handler::lane_of(const route& r) {
  switch (r.where) {
  case endpoint::collection:
  case endpoint::object:
  case endpoint::object_status:
    return r.action == verb::get || r.action == verb::list || r.action == verb::watch ? lane::read
           : r.action == verb::not_allowed                                           ? lane::immediate
                                                                                     : lane::call;
  case endpoint::dump:
  case endpoint::explain:
  case endpoint::top:
    return lane::call;
  default:
    return lane::immediate;
  }
}

reply request_handler::handle(const route& r, const request& q) {
  try {
    return dispatch(r, q);
  } catch (const std::exception&) { // a bug, or no memory: this request fails, the server lives; the text may quote data
    return status_reply(500, "InternalError", "the request could not be answered because of an internal error");
  }
}

reply request_handler::dispatch(const route& r, const request& q) {
  if (r.where == endpoint::bad_path)
    return status_reply(400, "BadRequest", "the path or query is malformed");
  if (r.where == endpoint::unknown)
    return not_found_reply({});
  if (r.action == verb::not_allowed)
    return status_reply(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {r.kind, r.name});
  switch (r.where) {
  case endpoint::livez:
    return probe_reply(dependencies_.livez, r.flag("verbose"));
  case endpoint::readyz:
    return probe_reply(dependencies_.readyz, r.flag("verbose"));
  case endpoint::metrics:
    return text_reply(200, dependencies_.metrics ? dependencies_.metrics() : std::string{}, "text/plain; version=0.0.4; charset=utf-8");
  case endpoint::dump:
    return dump(r);
  case endpoint::explain:
    return explain(r);
  case endpoint::top:
    return dependencies_.top ? json_reply(dependencies_.top()) : not_found_reply({});
  case endpoint::collection:
    if (r.action == verb::list)
      return list_objects(r, q.accept, readers_);
    if (r.action == verb::watch)
      return watch_objects(r, q.accept, readers_);
    break;
  case endpoint::object:
  case endpoint::object_status:
    if (r.action == verb::get)
      return get_object(r, q.accept);
    break;
  default:
    return discovery_document(r, q.accept);
  }
  if (!dependencies_.writer)
    return status_reply(405, "MethodNotAllowed", "this server is read-only", {r.kind, r.name});
  return write_object(r, q, readers_, *dependencies_.writer);
}

reply request_handler::get_object(const route& r, std::string_view accept) {
  const status_subject about{r.kind, r.name};
  const auto format = choose_format(accept, r.param("includeObject"));
  if (!format)
    return status_reply(400, "BadRequest", describe(format.error()), about);
  auto objects = open_collection(*r.kind, readers_);
  if (!objects)
    return failure_reply(objects.error(), about);
  const auto found = (*objects)->get({r.ns, r.name});
  if (!found)
    return failure_reply(found.error(), about);
  if (!found->has_value())
    return not_found_reply(about);
  auto text = format->body == body_format::table
                  ? single_row_table(**objects, **found, *format, true, std::chrono::system_clock::now())
                  : (*objects)->encode(**found);
  if (!text)
    return failure_reply(text.error(), about);
  reply out;
  out.body = std::move(*text);
  return out;
}

reply request_handler::dump(const route& r) {
  if (!dependencies_.dump)
    return not_found_reply({});
  auto text = dependencies_.dump(r.param("name"), r.flag("deep"));
  return text ? json_reply(std::move(*text)) : failure_reply(text.error());
}

/// `name` is `NAMESPACE/NAME`, or a name in namespace `default`.
reply request_handler::explain(const route& r) {
  if (!dependencies_.explain)
    return not_found_reply({});
  const auto name = r.param("name");
  const auto slash = name.find('/');
  const object_key key = slash == std::string::npos ? object_key{"default", name} : object_key{name.substr(0, slash), name.substr(slash + 1)};
  const status_subject about{find_kind(api_names::config_group, "repositories"), key.name};
  if (key.ns.empty() || key.name.empty())
    return status_reply(400, "BadRequest", "name must be that of a Repository, as NAMESPACE/NAME", about);
  auto text = dependencies_.explain(key);
  return text ? json_reply(std::move(*text)) : failure_reply(text.error(), about);
}

} // namespace veranda::api
