#include "adapters/git/git_remote.hpp"
#include "adapters/git/stream_upload_pack.hpp"

namespace veranda::git {

namespace {

std::int64_t now_seconds() { return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

failure refused(const new_branch& branch, ec code, std::string_view why) {
  return {code, "the branch \"" + branch.name + "\" could not be made: " + std::string{why}, {}, "spec.git.createBranch", {}};
}

failure is_there(const new_branch& branch) { return {ec::conflict, "the branch \"" + branch.name + "\" is there by now; the refs are listed again", {}, {}, {}}; }

/// By what came of it, not by what the server says: its words are its own.
failure refused_or_there(const remote_endpoint& remote, const new_branch& branch, const std::string& ref, const transport_limits& limits, const cancel_token& cancel) {
  const auto listed = list_refs(remote, {ref}, {}, limits, cancel);
  if (!listed) return listed.error();
  if (listed->refs && listed->refs->find(ref) != nullptr) return is_there(branch);
  return refused(branch, ec::auth_rejected, "the server refused it, by a rule, by a hook, or because another branch stands in its way; make it by hand");
}

} // namespace

result<void> create_branch(const remote_endpoint& remote, const new_branch& branch, const transport_limits& limits, const cancel_token& cancel) {
  const auto url = parse_git_url(remote.url);
  if (!url) return url.error();
  if (url->scheme == "git") return refused(branch, ec::unsupported, "nothing is pushed over git://; make it by hand, or use an https or ssh URL");
  const auto carrier = url->scheme == "file"  ? make_local_push_carrier(remote, *url, limits, cancel)
                       : url->scheme == "ssh" ? make_ssh_carrier(remote, *url, limits, cancel, receive_pack_service)
                                              : make_http_push_carrier(remote, *url, limits, cancel);
  const auto ref = "refs/heads/" + branch.name;
  const ref_prefixes wanted{ref};
  push_report report{ref};
  const auto ask = [&](const advertisement& found) -> result<std::string> {
    if (found.protocol != protocol_version::v0 || !found.has("report-status")) return failure{ec::unsupported, "the server does not tell what comes of a push", {}, {}, {}};
    if (found.refs->find(ref) != nullptr) return is_there(branch);
    return push_request(ref, make_first_commit(branch, now_seconds()), limits.user_agent);
  };
  exchange talk{wanted, limits, ask, [&](std::string_view bytes) { return report.feed(bytes); }, receive_pack_service};
  if (auto carried = carrier->carry(talk); !carried) return at_remote(std::move(carried).error(), carrier->label());
  const auto made = report.finish();
  if (!made) return at_remote(made.error(), carrier->label());
  return *made ? result<void>{} : at_remote(refused_or_there(remote, branch, ref, limits, cancel), carrier->label());
}

} // namespace veranda::git
