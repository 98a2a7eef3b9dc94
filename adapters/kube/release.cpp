#include "adapters/kube/release.hpp"

#include "adapters/kube/lease_requests.hpp"
#include "adapters/kube/object_decoder.hpp"
#include "adapters/kube/repository_events.hpp"

#include <algorithm>

namespace veranda::kube {

namespace {

constexpr std::uint32_t page = 500;

class releaser {
public:
  releaser(api_client& client, const release_options& options, const std::function<void(const std::string&)>& say)
    : client_(client), options_(options), say_(say), objects_(options.type.kind, options.type.api_version()), leases_(leases().kind, leases().api_version()) {}

  release_sums run() {
    auto scopes = options_.namespaces;
    if (scopes.empty())
      scopes.emplace_back();
    for (const auto& ns : scopes)
      release_scope(ns);
    remove_lease();
    return sums_;
  }

private:
  [[nodiscard]] std::string about(const object_key& key) const { return options_.type.kind + " " + to_string(key); }

  void failed(const std::string& what, const failure& why) {
    ++sums_.failed;
    say_(what + ": " + describe(why));
  }

  result<std::string> ask(const api_request& request) {
    auto answer = std::make_shared<std::optional<result<api_answer>>>();
    client_.start(request, [answer](result<api_answer> got) { *answer = std::move(got); });
    while (!*answer)
      client_.run_for(std::chrono::milliseconds{250});
    if (!**answer)
      return (*answer)->error();
    return body_of(*std::move(**answer), request);
  }

  void release_scope(const std::string& ns) {
    list_position position{{}, {}, page};
    const auto where = ns.empty() ? std::string{"the Repositories of all namespaces"} : "the Repositories of namespace " + ns;
    for (;;) {
      auto body = ask(list_request(options_.type, {ns, options_.label_selector, {}}, position));
      auto got = body ? objects_.list(*std::move(body)) : result<api_list_page>{std::move(body).error()};
      if (!got && got.error().code == ec::not_found)
        return say_(where + ": there are none, nor a definition of them");
      if (!got)
        return failed(where + " cannot be listed", got.error());
      for (auto& object : got->items)
        release(std::move(object));
      if (got->continue_token.empty())
        return;
      position.continue_token = std::move(got->continue_token);
    }
  }

  void release(api_object object) {
    const auto key = object.key;
    const auto uid = object.uid;
    result<api_object> there = std::move(object);
    for (unsigned tries = 0; there && there->uid == uid; ++tries) {
      auto finalizers = finalizers_of(*there);
      if (!finalizers)
        return failed(about(key) + ": the finalizer was not removed", finalizers.error());
      if (std::erase(*finalizers, options_.finalizer) == 0)
        return tries == 0 ? void() : released(key); // another did it
      auto body = ask(finalizers_patch_request(options_.type, key, {uid, there->resource_version}, *finalizers));
      if (body || body.error().code == ec::not_found)
        return released(key);
      if (body.error().code != ec::conflict || tries + 1 >= options_.max_tries)
        return failed(about(key) + ": the finalizer was not removed", body.error());
      there = decoded(ask(get_request(options_.type, key)), objects_);
    }
    if (there || there.error().code == ec::not_found)
      released(key); // it is gone
    else
      failed(about(key) + ": the finalizer was not removed", there.error());
  }

  void released(const object_key& key) {
    ++sums_.released;
    say_(about(key) + ": finalizer removed");
  }

  static result<api_object> decoded(result<std::string> body, object_decoder& decoder) {
    if (!body)
      return std::move(body).error();
    return decoder.object(*std::move(body));
  }

  [[nodiscard]] result<std::vector<std::string>> finalizers_of(const api_object& object) const {
    if (object.json.empty()) // those of others cannot be seen
      return object.problem.value_or(failure{ec::too_large, "the object is too large", about(object.key), {}, {}});
    return to_repository(object).meta.finalizers;
  }

  void remove_lease() {
    const auto name = "Lease " + to_string(options_.lease);
    const auto there = decoded(ask(get_request(leases(), options_.lease)), leases_);
    if (!there && there.error().code == ec::not_found)
      return say_(name + ": there is none");
    if (!there)
      return failed(name + " cannot be read", there.error());
    const auto removed = ask(delete_request(leases(), options_.lease, {there->uid, {}}));
    if (!removed && removed.error().code != ec::not_found)
      return failed(name + " was not removed", removed.error());
    say_(name + ": removed");
  }

  api_client& client_;
  const release_options& options_;
  const std::function<void(const std::string&)>& say_;
  object_decoder objects_, leases_;
  release_sums sums_;
};

} // namespace

release_sums release_all(api_client& client, const release_options& options, const std::function<void(const std::string&)>& say) {
  return releaser{client, options, say}.run();
}

} // namespace veranda::kube
