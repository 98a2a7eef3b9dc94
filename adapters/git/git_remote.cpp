#include "adapters/git/git_remote.hpp"

#include "adapters/git/curl_listing_engine.hpp"
#include "adapters/git/pack_writer.hpp"
#include "adapters/git/ref_listing.hpp"
#include "adapters/git/stream_upload_pack.hpp"

#include <algorithm>
#include <unordered_set>

namespace veranda::git {

namespace {

constexpr std::size_t wants_per_request = 15'000; ///< keeps the request below 1 MiB, which web servers take by default
constexpr std::size_t max_haves = 512;
constexpr std::size_t max_known_haves = 64; ///< of refs that did not move

std::unique_ptr<upload_pack> connect(const remote_endpoint& remote, const git_url& url, const transport_limits& limits, const cancel_token& cancel) {
  if (url.scheme == "file") return make_local_upload_pack(url, limits, cancel);
  if (url.scheme == "ssh") return make_stream_upload_pack(make_ssh_carrier(remote, url, limits, cancel), limits);
  if (url.scheme == "git") return make_stream_upload_pack(make_daemon_carrier(remote, url, limits, cancel), limits);
  return make_http_upload_pack(remote, url, limits, cancel);
}

result<listing> list_local(upload_pack& service, const ref_prefixes& prefixes, const std::string& known_digest, const transport_limits& limits) {
  std::string body;
  const auto keep = list_of_at_most(limits.max_listing_bytes, [&](std::string_view bytes) -> result<void> {
    body.append(bytes);
    return {};
  });
  auto called = service.call(protocol_version::v2, ls_refs_request(prefixes, limits.user_agent), keep);
  if (!called) return at_remote(std::move(called).error(), service.label());
  auto listed = read_ls_refs(body, prefixes, known_digest, limits.max_refs);
  return listed ? listed : at_remote(std::move(listed).error(), service.label());
}

result<listing> list_http(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, const transport_limits& limits,
                          const cancel_token& cancel) {
  curl_listing_engine engine{limits, 1};
  std::optional<result<listing>> got;
  engine.begin(remote, prefixes, known_digest, std::shared_ptr<const cancel_token>{std::shared_ptr<void>{}, &cancel},
               [&](result<listing> answer) { got = std::move(answer); });
  while (!got) engine.run_for(limits.total_timeout);
  return *std::move(got);
}

/// Calls `f(was, now)` for each name in either table, null where it is not.
template <class F>
void each_pair(const std::vector<ref_entry>& was, const std::vector<ref_entry>& now, F f) {
  for (auto a = was.begin(), b = now.begin(); a != was.end() || b != now.end();) {
    const int order = a == was.end() ? 1 : b == now.end() ? -1 : a->name.compare(b->name);
    f(order <= 0 ? &*a : nullptr, order >= 0 ? &*b : nullptr);
    if (order <= 0) ++a;
    if (order >= 0) ++b;
  }
}

/// Targets that the mirror lacks. Those of refs that did not move were asked for when they were fetched.
std::vector<oid> missing_tips(disk_mirror& into, const ref_table& target, bool all) {
  std::vector<oid> out;
  std::unordered_set<oid> seen;
  each_pair(into.refs()->refs, target.refs, [&](const ref_entry* was, const ref_entry* now) {
    if (now == nullptr || (!all && was != nullptr && was->target == now->target)) return;
    if (seen.insert(now->target).second && (all || !into.contains(now->target))) out.push_back(now->target);
  });
  return out;
}

/// Old tips that the server can build on: of refs that moved or went, then of branches that stayed, then of some other refs.
std::vector<oid> known_tips(disk_mirror& into, const ref_table& target) {
  std::vector<const ref_entry*> moved, branches, others;
  each_pair(into.refs()->refs, target.refs, [&](const ref_entry* was, const ref_entry* now) {
    if (was == nullptr) return;
    if (now == nullptr || now->target != was->target) moved.push_back(was);
    else (was->name.starts_with("refs/heads/") ? branches : others).push_back(was);
  });
  branches.resize(std::min(branches.size(), max_known_haves));
  // The last of the others: tags are sorted by package and revision, any of them is as good as another.
  if (others.size() > max_known_haves) others.erase(others.begin(), others.end() - static_cast<std::ptrdiff_t>(max_known_haves));
  std::vector<oid> out;
  std::unordered_set<oid> seen;
  for (const auto* group : {&moved, &branches, &others})
    for (const auto* ref : *group)
      if (out.size() < max_haves && seen.insert(ref->target).second && into.contains(ref->target)) out.push_back(ref->target);
  return out;
}

/// One request and its pack.
result<void> fetch_once(upload_pack& service, protocol_version protocol, const std::vector<oid>& wants, const std::vector<oid>& haves, pack_writer& writer,
                        const transport_limits& limits, const cancel_token& cancel, bool& begun) {
  fetch_reader reader{protocol, [&](std::string_view bytes) { return writer.append(bytes); }};
  auto called = service.call(protocol, fetch_request(protocol, wants, haves, limits.user_agent), [&](std::string_view bytes) { return reader.feed(bytes); });
  begun = reader.pack_begun();
  if (!called) return called;
  if (auto whole = reader.finish(); !whole) return whole;
  return writer.commit(cancel);
}

/// What a server that did not understand a v2 request may have answered with.
bool asks_anew(const failure& f) {
  return f.code == ec::unsupported || f.code == ec::not_found || (f.code == ec::unavailable && !f.retry_after) || f.code == ec::too_large;
}

class fetcher {
public:
  fetcher(disk_mirror& into, upload_pack& service, const transport_limits& limits, const cancel_token& cancel, const pack_writer::progress_function& progress)
      : into_(into), service_(service), limits_(limits), cancel_(cancel), progress_(progress) {}

  /// Fetches `wants`: v2 is tried first without asking, most servers have it.
  result<void> run(const std::vector<oid>& wants, const std::vector<oid>& haves) {
    bool begun = false;
    auto done = attempt(protocol_, wants, haves, begun);
    if (done || begun || asked_ || !asks_anew(done.error())) return done;
    auto protocol = service_.ask_protocol(done.error());
    if (!protocol) return std::move(protocol).error();
    asked_ = true;
    protocol_ = *protocol;
    return attempt(protocol_, wants, haves, begun);
  }
  [[nodiscard]] const fetch_report& report() const noexcept { return report_; }

private:
  result<void> attempt(protocol_version protocol, const std::vector<oid>& wants, const std::vector<oid>& haves, bool& begun) {
    pack_writer writer{into_, limits_, progress_};
    auto done = fetch_once(service_, protocol, wants, haves, writer, limits_, cancel_, begun);
    report_.received_bytes += writer.bytes();
    if (!done) return done;
    report_.pack_received = true;
    report_.objects += writer.objects();
    return {};
  }
  disk_mirror& into_;
  upload_pack& service_;
  const transport_limits& limits_;
  const cancel_token& cancel_;
  const pack_writer::progress_function& progress_;
  protocol_version protocol_ = protocol_version::v2;
  bool asked_ = false;
  fetch_report report_;
};

} // namespace

result<protocol_version> read_protocol(const std::function<result<void>(const byte_sink& sink)>& advertise, const transport_limits& limits) {
  const ref_prefixes nothing{"refs/"};
  advertisement_reader reader{nothing, limits.max_refs};
  if (auto asked = advertise([&](std::string_view bytes) { return reader.feed(bytes); }); !asked) return std::move(asked).error();
  auto found = reader.finish();
  if (!found) return std::move(found).error();
  if (auto why = too_old(*found); why && !found->refs->refs.empty()) return *std::move(why);
  return found->protocol;
}

result<listing> list_refs(const remote_endpoint& remote, const ref_prefixes& prefixes, const std::string& known_digest, const transport_limits& limits,
                          const cancel_token& cancel) {
  auto url = parse_git_url(remote.url);
  if (!url) return std::move(url).error();
  if (url->scheme == "https" || url->scheme == "http") return list_http(remote, prefixes, known_digest, limits, cancel);
  if (url->scheme == "ssh") return list_by_exchange(*make_ssh_carrier(remote, *url, limits, cancel), prefixes, known_digest, limits);
  if (url->scheme == "git") return list_by_exchange(*make_daemon_carrier(remote, *url, limits, cancel), prefixes, known_digest, limits);
  const auto service = make_local_upload_pack(*url, limits, cancel);
  return list_local(*service, prefixes, known_digest, limits);
}

result<fetch_report> fetch(mirror& into, const remote_endpoint& remote, const ref_table& target, const transport_limits& limits, const cancel_token& cancel,
                           bool without_haves, const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  auto* disk = dynamic_cast<disk_mirror*>(&into);
  if (disk == nullptr) return failure{ec::internal, "only a mirror opened by open_mirror can be fetched into", {}, {}, {}};
  const auto url = parse_git_url(remote.url);
  if (!url) return url.error();
  const auto service = connect(remote, *url, limits, cancel);
  fetcher work{*disk, *service, limits, cancel, progress};
  const auto haves = without_haves ? std::vector<oid>{} : known_tips(*disk, target);
  auto wants = missing_tips(*disk, target, without_haves);
  while (!wants.empty()) {
    const auto before = wants.size();
    const auto rest = wants.begin() + static_cast<std::ptrdiff_t>(std::min(before, wants_per_request));
    if (auto done = work.run({wants.begin(), rest}, haves); !done) return at_remote(std::move(done).error(), service->label());
    wants = missing_tips(*disk, target, false);
    if (wants.size() >= before)
      return at_remote({ec::conflict, "the server did not send " + wants.front().hex() + ", which it had listed; the refs are listed again", {}, {}, {}}, service->label());
  }
  disk->replace_refs(target);
  return work.report();
}

} // namespace veranda::git
