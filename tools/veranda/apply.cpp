#include "tools/veranda/commands.hpp"
#include "tools/veranda/manifests.hpp"

#include <iostream>

namespace veranda::cli {
namespace {

constexpr const char* last_applied = "kubectl.kubernetes.io/last-applied-configuration";

struct written_object {
  const cli_kind* kind = nullptr;
  std::string ns, name;
  [[nodiscard]] std::string shown() const { return "repository." + kind->group + "/" + name; }
};

/// What the document is about; the failure says what to do with documents that are not ours.
result<written_object> target_of(const globals& g, manifest& m) {
  const auto kind = text_at(m.object, {"kind"});
  const auto version = text_at(m.object, {"apiVersion"});
  if (kind == "Secret")
    return failure{ec::unsupported, "Secrets are not sent over the API: put them into the daemon's manifest directory, where it reads them at use", m.source, {}, {}};
  const auto* known = find_kind("repositories");
  if (kind != known->kind || version != known->group + "/v1alpha1")
    return failure{ec::unsupported, "only " + known->group + "/v1alpha1 Repository can be written, not " + (kind.empty() ? "an object without kind" : version + " " + kind),
                   m.source,        {}, {}};
  if (!m.object.contains("metadata") || !m.object["metadata"].is_object())
    return failure{ec::invalid_spec, "metadata.name is missing", m.source, {}, {}};
  written_object t{known, text_at(m.object, {"metadata", "namespace"}), text_at(m.object, {"metadata", "name"})};
  if (t.name.empty())
    return failure{ec::invalid_spec, "metadata.name is missing", m.source, {}, {}};
  if (t.ns.empty())
    t.ns = g.ns;
  m.object["metadata"]["namespace"] = t.ns;
  return t;
}

result<void> create(api_client& client, const written_object& t, const json& object) {
  const auto a = client.call("POST", object_path(*t.kind, t.ns), "application/json", object.dump(), "application/json");
  if (!a)
    return a.error();
  if (a->status != 201)
    return failure_of(*a, t.name);
  std::cout << t.shown() << " created\n";
  return {};
}

result<void> configure(api_client& client, const written_object& t, const json& wanted, const json& live) {
  const auto before = parse_json(text_at(live, {"metadata", "annotations", last_applied}));
  const auto patch = three_way_patch(before, wanted, live);
  if (patch.empty()) {
    std::cout << t.shown() << " unchanged\n";
    return {};
  }
  const auto a = client.call("PATCH", object_path(*t.kind, t.ns, t.name), "application/json", patch.dump(), "application/merge-patch+json");
  if (!a)
    return a.error();
  if (a->status != 200)
    return failure_of(*a, t.name);
  std::cout << t.shown() << " configured\n";
  return {};
}

result<void> apply_one(const globals& g, api_client& client, manifest& m) {
  const auto t = target_of(g, m);
  if (!t)
    return t.error();
  auto& object = m.object;
  object.erase("status");
  const auto plain = object.dump(-1, ' ', false, json::error_handler_t::replace);
  auto& annotations = object["metadata"]["annotations"];
  if (!annotations.is_object())
    annotations = json::object();
  annotations[last_applied] = plain;
  const auto live = client.call("GET", object_path(*t->kind, t->ns, t->name));
  if (!live)
    return live.error();
  if (live->status == 404)
    return create(client, *t, object);
  if (live->status != 200)
    return failure_of(*live, t->name);
  return configure(client, *t, object, parse_json(live->body));
}

result<void> remove(api_client& client, const written_object& t) {
  const auto a = client.call("DELETE", object_path(*t.kind, t.ns, t.name));
  if (!a)
    return a.error();
  if (a->status != 200 && a->status != 202)
    return failure_of(*a, t.name);
  std::cout << t.shown() << " deleted\n";
  return {};
}

result<void> delete_one(const globals& g, api_client& client, manifest& m) {
  const auto t = target_of(g, m);
  return t ? remove(client, *t) : result<void>{t.error()};
}

/// Each document by itself: one that fails hinders no other.
template <class F>
int for_each_document(const globals& g, const files_options& o, const F& f) {
  auto documents = read_manifests(o.files);
  if (!documents)
    return fail(documents.error());
  if (documents->empty())
    return fail({ec::not_found, "there are no objects in what -f names", {}, {}, {}});
  api_client client{g.server};
  int outcome = exit_ok;
  for (auto& m : *documents)
    if (auto ok = f(g, client, m); !ok) {
      auto why = ok.error();
      if (why.object.empty())
        why.object = m.source;
      outcome = fail(why);
    }
  return outcome;
}

} // namespace

int run_apply(const globals& g, const files_options& o) { return for_each_document(g, o, apply_one); }

int run_delete(const globals& g, const files_options& o) {
  if (o.kind.empty() == o.files.empty())
    return usage("name what to delete: KIND NAME..., or -f FILE");
  if (o.kind.empty())
    return for_each_document(g, o, delete_one);
  const auto asked = parse_target(o.kind, o.names);
  if (!asked)
    return usage(asked.error().what);
  if (asked->kind->kind != "Repository" || asked->names.empty())
    return usage("name the repositories to delete; other kinds follow from what is in git");
  api_client client{g.server};
  int outcome = exit_ok;
  for (const auto& name : asked->names)
    if (const auto ok = remove(client, {asked->kind, g.ns, name}); !ok)
      outcome = fail(ok.error());
  return outcome;
}

} // namespace veranda::cli
