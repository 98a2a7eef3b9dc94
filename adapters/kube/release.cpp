#include "adapters/kube/release.hpp"

#include "adapters/kube/lease_requests.hpp"
#include "adapters/kube/object_decoder.hpp"
#include "adapters/kube/package_revs.hpp"
#include "messages/model/repository.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

namespace veranda::kube {

namespace {

using nlohmann::json;

constexpr std::chrono::seconds lease_timeout{30};
constexpr std::uint32_t page = 500;
constexpr std::chrono::milliseconds slice{250};
constexpr int most_lists = 5;             ///< of one scope, each begun because the pages of the one before grew too old
constexpr std::size_t most_failures = 20; ///< of PackageRevs that have a line each

const resource_type namespaces{"", "v1", "namespaces", "Namespace"};

/// One kind of objects that our finalizer goes from.
struct sweep {
  const resource_type& type;
  std::string finalizer;
  std::string label_selector;
  std::function<bool(const api_object&)> wanted; ///< empty: every one
  std::function<void(const object_key&)> released;
  std::function<void(const object_key&, const failure&)> failed;
  object_decoder decoder{type.kind, type.api_version()};
};

/// One object on its way.
struct change {
  object_key key;
  std::string uid;
  unsigned tries = 0;
};

json metadata_of(const api_object& object) {
  auto whole = json::parse(object.json, nullptr, false);
  return whole.is_object() && whole.contains("metadata") ? std::move(whole["metadata"]) : json::object();
}

/// Those of others cannot be seen in an object without text.
result<std::vector<std::string>> finalizers_of(const api_object& object) {
  if (object.json.empty())
    return object.problem.value_or(failure{ec::too_large, "the object is too large", to_string(object.key), {}, {}});
  std::vector<std::string> out;
  const auto metadata = metadata_of(object);
  if (const auto all = metadata.find("finalizers"); all != metadata.end() && all->is_array())
    for (const auto& one : *all)
      if (one.is_string())
        out.push_back(one.get<std::string>());
  return out;
}

object_key repository_of(const api_object& package_rev) {
  const auto metadata = metadata_of(package_rev);
  const auto labels = metadata.find("labels");
  if (labels == metadata.end() || !labels->is_object())
    return {};
  const auto name = labels->find(package_rev_repository_label);
  return {package_rev.key.ns, name != labels->end() && name->is_string() ? name->get<std::string>() : std::string{}};
}

class releaser {
public:
  releaser(api_client& client, const release_options& options, const std::function<void(const std::string&)>& say) : client_(client), options_(options), say_(say) {
    if (scopes_.empty())
      scopes_.emplace_back();
  }

  release_sums run() {
    if (!all_namespaces_exist() || (options_.lease && is_led(*options_.lease)))
      return sums_;
    release_package_revs(); // while their Repositories are there to be selected
    release_repositories();
    if (lease_)
      remove_lease(*options_.lease, *lease_);
    look_again();
    return sums_;
  }

private:
  // -- calls ---------------------------------------------------------------------------------------

  template <class Then>
  void start(const api_request& request, Then then) {
    ++active_;
    client_.start(request, [this, request, then = std::move(then)](result<api_answer> got) {
      --active_;
      then(got ? body_of(*std::move(got), request) : result<std::string>{std::move(got).error()});
    });
  }

  void drive_until_under_way(std::size_t most) {
    while (active_ > most)
      client_.run_for(slice);
  }

  result<std::string> ask(const api_request& request) {
    std::optional<result<std::string>> out;
    start(request, [&out](result<std::string> body) { out = std::move(body); });
    while (!out)
      client_.run_for(slice);
    return *std::move(out);
  }

  static result<api_object> decoded(result<std::string> body, object_decoder& decoder) {
    if (!body)
      return std::move(body).error();
    return decoder.object(*std::move(body));
  }

  // -- objects of one kind -------------------------------------------------------------------------

  /// Each object of a kind in a scope; nothing, or why they could not be listed.
  template <class Each>
  result<void> for_each(const resource_type& type, object_decoder& decoder, const api_scope& scope, Each each) {
    list_position position{{}, {}, page};
    for (int lists = 1;;) {
      auto body = ask(list_request(type, scope, position));
      auto got = body ? decoder.list(*std::move(body)) : result<api_list_page>{std::move(body).error()};
      if (!got && got.error().code == ec::stale && lists++ < most_lists) {
        position.continue_token.clear();
        continue;
      }
      if (!got)
        return got.error();
      for (auto& object : got->items)
        each(std::move(object));
      if (got->continue_token.empty())
        return {};
      position.continue_token = std::move(got->continue_token);
    }
  }

  result<void> release_scope(sweep& s, const std::string& ns) {
    auto listed = for_each(s.type, s.decoder, {ns, s.label_selector, {}}, [&](api_object object) {
      if (s.wanted && !s.wanted(object))
        return;
      drive_until_under_way(options_.at_once - 1);
      const change c{object.key, object.uid};
      release(s, c, std::move(object));
    });
    drive_until_under_way(0);
    return listed;
  }

  void release(sweep& s, change c, const result<api_object>& there) {
    if (!there && there.error().code != ec::not_found)
      return s.failed(c.key, there.error());
    if (!there || there->uid != c.uid)
      return done(s, c); // it is gone
    auto finalizers = finalizers_of(*there);
    if (!finalizers)
      return s.failed(c.key, finalizers.error());
    if (std::erase(*finalizers, s.finalizer) == 0)
      return c.tries == 0 ? void() : done(s, c); // another did it
    ++c.tries;
    start(finalizers_patch_request(s.type, c.key, {c.uid, there->resource_version}, *finalizers), [this, &s, c](const result<std::string>& body) {
      if (body || body.error().code == ec::not_found)
        done(s, c);
      else if (body.error().code == ec::conflict && c.tries < options_.max_tries)
        start(get_request(s.type, c.key), [this, &s, c](result<std::string> again) { release(s, c, decoded(std::move(again), s.decoder)); });
      else
        s.failed(c.key, body.error());
    });
  }

  void done(sweep& s, const change& c) {
    released_.insert(c.uid);
    s.released(c.key);
  }

  // -- what there is ---------------------------------------------------------------------------------

  void failed(const std::string& what, const failure& why) {
    ++sums_.failed;
    say_(what + ": " + describe(why));
  }

  static std::string where(const std::string& kinds, const std::string& ns) { return "the " + kinds + (ns.empty() ? " of all namespaces" : " of namespace " + ns); }

  void release_repositories() {
    const auto about = [](const object_key& key) { return repositories().kind + " " + to_string(key); };
    sweep s{repositories(), std::string{api_names::repository_finalizer}, options_.label_selector, {}, {}, {}};
    s.released = [&](const object_key& key) {
      ++sums_.repositories;
      say_(about(key) + ": finalizer removed");
    };
    s.failed = [&](const object_key& key, const failure& why) { failed(about(key) + ": the finalizer was not removed", why); };
    for (const auto& ns : scopes_)
      if (const auto done = release_scope(s, ns); !done && done.error().code == ec::not_found)
        say_(where("Repositories", ns) + ": there are none, nor a definition of them");
      else if (!done)
        failed(where("Repositories", ns) + " cannot be listed", done.error());
  }

  void release_package_revs() {
    std::size_t unsaid = 0;
    sweep s{package_revs(), std::string{package_rev_finalizer}, {}, {}, {}, {}};
    s.released = [&](const object_key&) {
      if (++sums_.package_revs % page == 0)
        say_("PackageRevs: " + std::to_string(sums_.package_revs) + " finalizers removed so far");
    };
    std::size_t failures = 0;
    s.failed = [&](const object_key& key, const failure& why) {
      if (++failures <= most_failures)
        return failed(package_revs().kind + " " + to_string(key) + ": the finalizer was not removed", why);
      ++sums_.failed;
      ++unsaid;
    };
    for (const auto& ns : scopes_)
      release_package_revs_of(s, ns);
    if (unsaid > 0)
      say_("PackageRevs: the finalizers of " + std::to_string(unsaid) + " more were not removed");
  }

  void release_package_revs_of(sweep& s, const std::string& ns) {
    std::set<object_key> selected;
    if (!options_.label_selector.empty()) {
      object_decoder decoder{repositories().kind, repositories().api_version()};
      const auto listed = for_each(repositories(), decoder, {ns, options_.label_selector, {}}, [&](const api_object& object) { selected.insert(package_rev_group(object.key)); });
      if (!listed && listed.error().code != ec::not_found)
        return failed(where("PackageRevs", ns) + " were not looked at: their Repositories cannot be listed", listed.error());
      if (!listed || selected.empty())
        return;
      s.wanted = [&selected](const api_object& object) { return selected.contains(repository_of(object)); };
    }
    const auto done = release_scope(s, ns);
    s.wanted = nullptr;
    if (!done && done.error().code != ec::not_found && (done.error().code != ec::auth_rejected || are_served(s.type)))
      failed(where("PackageRevs", ns) + " cannot be listed", done.error());
  }

  /// Rights are looked at before it is said that there is no such kind. When in doubt, yes.
  bool are_served(const resource_type& type) {
    const auto body = ask(kinds_request(type));
    if (!body)
      return body.error().code != ec::not_found;
    const auto kinds = json::parse(*body, nullptr, false);
    const auto all = kinds.is_object() ? kinds.find("resources") : kinds.end();
    if (!kinds.is_object() || all == kinds.end() || !all->is_array())
      return true;
    return std::any_of(all->begin(), all->end(), [&](const json& one) { return one.is_object() && one.value("name", json{}) == type.plural; });
  }

  /// What a mistyped name would pass over. Who may not look is believed.
  bool all_namespaces_exist() {
    std::set<std::string> named{options_.namespaces.begin(), options_.namespaces.end()};
    if (options_.lease)
      named.insert(options_.lease->ns);
    for (const auto& ns : named)
      if (const auto body = ask(get_request(namespaces, {{}, ns})); !body && body.error().code == ec::not_found) {
        ++sums_.failed;
        say_("Namespace " + ns + ": there is none; nothing was touched");
      }
    return sums_.failed == 0;
  }

  // -- a daemon that still runs ----------------------------------------------------------------------

  void wait(std::chrono::milliseconds d) const {
    if (options_.wait)
      options_.wait(d);
    else
      std::this_thread::sleep_for(d);
  }

  result<std::optional<logic::lease_object>> read_lease(const object_key& key) {
    const auto request = read_lease_request(key, lease_timeout);
    std::optional<result<api_answer>> got;
    client_.start(request, [&got](result<api_answer> answer) { got = std::move(answer); });
    while (!got)
      client_.run_for(slice);
    return lease_of(*std::move(got), request, key);
  }

  /// Whether somebody leads by this Lease now: by the time of its last renewal, or by one that is seen, as clocks differ. Remembers the Lease.
  bool is_led(const object_key& key) {
    const auto name = "Lease " + to_string(key);
    auto there = read_lease(key);
    if (!there) {
      failed(name + " cannot be read", there.error());
      return false;
    }
    if (!*there) {
      say_(name + ": there is none");
      return false;
    }
    lease_ = **there;
    const auto record = lease_->record;
    if (record.holder.empty())
      return false;
    const auto now = options_.now ? options_.now() : std::chrono::system_clock::now();
    const auto left = record.renewed ? *record.renewed + std::chrono::seconds{record.duration_seconds} - now : wall_time::duration{0};
    bool led = left.count() > 0;
    if (!led) {
      wait(options_.renewal);
      const auto again = read_lease(key);
      led = again && *again && (*again)->record.holder == record.holder && (*again)->record.renewed != record.renewed;
    }
    if (!led)
      return false;
    ++sums_.failed;
    say_(name + " is held by " + record.holder + ", which renews it, so nothing was touched: end that daemon first (kubectl -n " + key.ns +
         " scale deploy/verandad --replicas=0, or statefulset/verandad) and wait for the end of its pod; one that was killed holds it for at most " +
         format_go_duration(std::chrono::seconds{record.duration_seconds}));
    return true;
  }

  void remove_lease(const object_key& lease, const logic::lease_object& there) {
    const auto name = "Lease " + to_string(lease);
    const auto removed = ask(delete_request(leases(), lease, {there.uid, {}}));
    if (!removed && removed.error().code != ec::not_found)
      return failed(name + " was not removed", removed.error());
    lease_removed_ = true;
    say_(name + ": removed");
  }

  /// Of what was released, what is held again.
  std::size_t held_again(const resource_type& type, const std::string& finalizer) {
    std::size_t n = 0;
    object_decoder decoder{type.kind, type.api_version()};
    for (const auto& ns : scopes_)
      static_cast<void>(for_each(type, decoder, {ns, {}, {}}, [&](const api_object& object) {
        const auto finalizers = released_.contains(object.uid) ? finalizers_of(object) : std::vector<std::string>{};
        n += finalizers && std::find(finalizers->begin(), finalizers->end(), finalizer) != finalizers->end() ? 1 : 0;
      }));
    return n;
  }

  void look_again() {
    if (released_.empty() && !lease_removed_)
      return;
    const auto undone = [this](const std::string& what) {
      ++sums_.failed;
      say_(what + ": a daemon still runs; end it, wait for the end of its pod, and run this again");
    };
    for (unsigned n = 1; n <= options_.looks; ++n) {
      wait(options_.look_every);
      if (lease_removed_)
        if (const auto lease = read_lease(*options_.lease); lease && *lease)
          return undone("Lease " + to_string(*options_.lease) + " was made anew by " + (*lease)->record.holder);
      if (const auto held = sums_.repositories > 0 ? held_again(repositories(), std::string{api_names::repository_finalizer}) : 0; held > 0)
        return undone(std::to_string(held) + " Repositories have got the finalizer again");
    }
    if (const auto held = sums_.package_revs > 0 ? held_again(package_revs(), std::string{package_rev_finalizer}) : 0; held > 0)
      undone(std::to_string(held) + " PackageRevs have got the finalizer again");
  }

  api_client& client_;
  const release_options& options_;
  const std::function<void(const std::string&)>& say_;
  std::vector<std::string> scopes_ = options_.namespaces;
  std::size_t active_ = 0;
  std::set<std::string> released_; ///< uids
  std::optional<logic::lease_object> lease_; ///< to be removed
  bool lease_removed_ = false;
  release_sums sums_;
};

} // namespace

release_sums release_all(api_client& client, const release_options& options, const std::function<void(const std::string&)>& say) {
  return releaser{client, options, say}.run();
}

} // namespace veranda::kube
