#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/remote_refs.hpp"
#include "adapters/codec/porch_codec.hpp"
#include "adapters/git/git_remote.hpp"
#include "adapters/kpt/decoder.hpp"
#include "adapters/process/find_program.hpp"
#include "tools/veranda/commands.hpp"

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

namespace veranda::cli {
namespace {

constexpr std::uint64_t max_secret_file_bytes = 1U << 20U;

/// A directory that goes with this object.
class temporary_directory {
public:
  temporary_directory() {
    auto pattern = (std::filesystem::temp_directory_path() / "veranda-scan-XXXXXX").string();
    if (::mkdtemp(pattern.data()) != nullptr)
      path_ = pattern;
  }
  ~temporary_directory() {
    std::error_code ignored;
    if (!path_.empty())
      std::filesystem::remove_all(path_, ignored);
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

result<std::string> read_file(const std::string& file, bool one_line) {
  std::ifstream in{file, std::ios::binary};
  std::string text(max_secret_file_bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || in.gcount() == 0)
    return failure{ec::not_found, "cannot be read, or is empty", file, {}, {}};
  text.resize(static_cast<std::size_t>(in.gcount()));
  while (one_line && !text.empty() && (text.back() == '\n' || text.back() == '\r'))
    text.pop_back();
  return text;
}

result<credentials> read_credentials(const globals& g, const scan_options& o) {
  credentials c;
  c.username = o.username;
  const auto take = [](const std::string& file, bool one_line, std::string& into) -> result<void> {
    if (file.empty())
      return {};
    auto text = read_file(file, one_line);
    if (!text)
      return text.error();
    into = std::move(*text);
    return {};
  };
  if (const auto ok = take(o.password_file, true, c.password); !ok)
    return ok.error();
  if (const auto ok = take(o.token_file, true, c.bearer_token); !ok)
    return ok.error();
  if (const auto ok = take(o.ssh_key_file, false, c.ssh_private_key); !ok)
    return ok.error();
  if (const auto ok = take(o.known_hosts_file, false, c.ssh_known_hosts); !ok)
    return ok.error();
  if (const auto ok = take(g.server.ca_file, false, c.ca_bundle_pem); !ok)
    return ok.error();
  return c;
}

struct found {
  logic::discovery_result discovery;
  std::string url;
};

/// Interrupts end the transfer, so that the temporary mirror is removed.
cancel_token& interrupt_token() {
  static cancel_token token;
  return token;
}

/// The same steps as a sync of the daemon, into a mirror that is thrown away.
result<found> find_packages(const globals& g, const scan_options& o, const std::filesystem::path& dir) {
  const auto auth = read_credentials(g, o);
  if (!auth)
    return auth.error();
  auto url = git::canonical_url(o.url, true);
  if (!url && o.url.find(':') == std::string::npos) {
    if (!std::filesystem::is_directory(o.url))
      return failure{ec::not_found, "there is no such directory", o.url, {}, {}};
    url = git::canonical_url(std::filesystem::absolute(o.url).lexically_normal().string(), true);
  }
  if (!url)
    return url.error();
  const remote_endpoint remote{*url, *auth};
  auto& cancel = interrupt_token();
  git::transport_limits limits;
  limits.ssh_client = process::find_program("ssh");
  limits.allow_git_protocol = true; // who runs this says so by the URL
  auto mirror = git::open_mirror(dir / "mirror", *url);
  if (!mirror)
    return mirror.error();
  const std::set<std::string> branches{o.branch};
  const auto listed = git::list_refs(remote, logic::ref_prefixes_for(branches), {}, limits, cancel);
  if (!listed)
    return listed.error();
  auto wanted = logic::mirrored_refs(*listed->refs, branches);
  const bool progress = ::isatty(STDERR_FILENO) != 0;
  const auto fetched = git::fetch(**mirror, remote, wanted, limits, cancel, false, [progress](std::uint64_t bytes, std::uint64_t objects) {
    if (progress)
      std::cerr << "\rReceiving: " << objects << " objects, " << bytes / 1024 << " KiB " << std::flush;
  });
  if (progress)
    std::cerr << "\r\033[K" << std::flush;
  if (!fetched)
    return fetched.error();
  logic::discovery_request request;
  request.repository = {g.ns, o.name};
  request.url = *url;
  request.branch = o.branch;
  request.directory = o.directory;
  request.refs = std::make_shared<const ref_table>(std::move(wanted));
  logic::discovery_index index;
  const auto decoder = kpt::make_decoder();
  auto discovered = logic::discover(request, (*mirror)->objects(), *decoder, index, cancel);
  if (!discovered)
    return discovered.error();
  if (discovered->branch_commit.is_zero()) // as a sync: an error, whatever tags and drafts there are
    return failure{ec::not_found, "branch \"" + o.branch + "\" not found in repository (--branch)", *url, {}, {}};
  return found{std::move(*discovered), *url};
}

store::cached_revision row_of(const object_key& repository, const package_revision& r) {
  store::cached_revision row;
  row.repository = repository;
  row.revision = r;
  row.resource_version = r.commit.is_zero() ? std::string{} : r.commit.hex();
  return row;
}

void print_table(const found& f, const std::string& repository) {
  text_table table{{"NAME", "PACKAGE", "WORKSPACENAME", "REVISION", "LATEST", "LIFECYCLE", "REPOSITORY"}};
  for (const auto& r : f.discovery.revisions)
    table.add({r.name, r.key.package_name(), r.key.workspace, std::to_string(r.key.revision), r.latest ? "true" : "false", std::string{to_string(r.lifecycle)}, repository});
  table.print(std::cout);
}

void print_objects(const globals& g, const scan_options& o, const found& f) {
  json list{{"apiVersion", "porch.kpt.dev/v1alpha1"}, {"kind", "PackageRevisionList"}, {"metadata", json::object()}, {"items", json::array()}};
  for (const auto& r : f.discovery.revisions)
    list["items"].push_back(parse_json(codec::encode_package_revision(row_of({g.ns, o.name}, r))));
  std::cout << (o.output == "json" ? to_text(list) + "\n" : to_yaml(list));
}

std::string counted(std::size_t n, const std::string& what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

/// What a person should know besides the list: to stderr, so that the list can be piped.
void print_remarks(const scan_options& o, const found& f) {
  const auto& d = f.discovery;
  for (const auto& bad : d.bad)
    std::cerr << (bad.excluded ? "skipped: " : "degraded: ") << printable(bad.what) << ": " << printable(bad.reason) << '\n';
  if (d.bad_count > d.bad.size())
    std::cerr << "... and " << d.bad_count - d.bad.size() << " more\n";
  if (d.directory_missing)
    std::cerr << "The branch has no directory \"" << printable(o.directory) << "\" (--directory).\n";
  std::set<std::string> packages;
  for (const auto& r : d.revisions)
    packages.insert(r.key.package_name());
  std::cerr << counted(d.revisions.size(), "package revision") << " of " << counted(packages.size(), "package") << " found.\n";
}

} // namespace

int run_scan(const globals& g, const scan_options& options) {
  auto o = options;
  while (o.directory.starts_with('/'))
    o.directory.erase(0, 1);
  while (o.directory.ends_with('/'))
    o.directory.pop_back();
  const temporary_directory dir;
  if (dir.path().empty())
    return fail({ec::unavailable, "no temporary directory can be made; set TMPDIR", {}, {}, {}});
  std::signal(SIGINT, [](int) { interrupt_token().stop.store(true); });
  std::signal(SIGTERM, [](int) { interrupt_token().stop.store(true); });
  interrupt_token().deadline = std::chrono::steady_clock::now() + std::chrono::minutes{30};
  const auto f = find_packages(g, o, dir.path());
  if (!f)
    return fail(f.error());
  if (o.output == "json" || o.output == "yaml")
    print_objects(g, o, *f);
  else if (o.output == "name")
    for (const auto& r : f->discovery.revisions)
      std::cout << "packagerevision.porch.kpt.dev/" << r.name << '\n';
  else
    print_table(*f, o.name);
  print_remarks(o, *f);
  return exit_ok;
}

} // namespace veranda::cli
