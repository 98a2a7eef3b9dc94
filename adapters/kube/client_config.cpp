#include "adapters/kube/client_config.hpp"

#include "adapters/kube/kubeconfig.hpp"
#include "adapters/source/file_reader.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fcntl.h>

namespace veranda::kube {

namespace {

constexpr std::uint64_t max_config_bytes = 4U << 20U;

failure bad_url(std::string what) { return {ec::invalid_spec, std::move(what), {}, "server", {}}; }

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string{text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1)};
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? std::optional<std::string>{value} : std::nullopt;
}

result<std::string> disk_file(const std::string& path) {
  auto read = source::read_file(AT_FDCWD, path, max_config_bytes);
  if (!read) return failure{read.error().code, read.error().what, path, {}, {}};
  return std::move(read->text);
}

/// `search` with what it leaves to the process.
config_search complete(config_search search) {
  if (!search.environment) search.environment = process_environment;
  if (!search.read_file) search.read_file = disk_file;
  return search;
}

std::string variable(const config_search& search, const char* name) { return search.environment(name).value_or(""); }

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= list.size();) {
    const auto end = std::min(list.find(':', at), list.size());
    if (end > at) out.push_back(list.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

/// Reads and merges `paths`; those that are missing are left out unless `must_exist`.
result<client_config> from_files(const config_search& search, const std::vector<std::string>& paths, bool must_exist) {
  std::vector<kubeconfig> files;
  for (const auto& path : paths) {
    auto text = search.read_file(path);
    if (!text && text.error().code == ec::not_found && !must_exist) continue;
    if (!text) return failure{text.error().code, text.error().what, "kubeconfig " + path, {}, {}};
    auto parsed = parse_kubeconfig(*text, path);
    if (!parsed) return parsed.error();
    files.push_back(*std::move(parsed));
  }
  if (files.empty())
    return failure{ec::not_found, "no configuration for an API server: no kubeconfig file exists and this is no pod of a cluster", {}, "kubeconfig", {}};
  return select_context(merge(std::move(files)), search.context);
}

bool is_port(std::string_view text, std::uint16_t& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && port != 0;
}

} // namespace

std::string server_url::authority() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::string server_url::text() const { return scheme + "://" + authority() + prefix; }

result<server_url> parse_server_url(std::string_view text, std::string_view default_scheme) {
  server_url out;
  out.scheme = default_scheme;
  if (const auto at = text.find("://"); at != std::string_view::npos) {
    out.scheme = text.substr(0, at);
    text.remove_prefix(at + 3);
  }
  if (out.scheme != "https" && out.scheme != "http") return bad_url("must be an https or http URL");
  if (text.find_first_of("?#@ \t\r\n\\") != std::string_view::npos) return bad_url("must be a URL without user name, query and blanks");
  out.port = out.secure() ? 443 : 80;
  const auto slash = std::min(text.find('/'), text.size());
  out.prefix = text.substr(slash);
  while (out.prefix.ends_with('/')) out.prefix.pop_back();
  auto authority = text.substr(0, slash);
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return bad_url("must be a URL with a whole IPv6 address");
    out.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
  } else {
    const auto colon = std::min(authority.find(':'), authority.size());
    out.host = authority.substr(0, colon);
    authority.remove_prefix(colon);
  }
  if (out.host.empty()) return bad_url("must be a URL with a host");
  if (!authority.empty() && (!authority.starts_with(':') || !is_port(authority.substr(1), out.port))) return bad_url("must be a URL with a valid port");
  return out;
}

result<client_config> in_cluster_config(const config_search& given) {
  const auto search = complete(given);
  const auto host = variable(search, "KUBERNETES_SERVICE_HOST");
  const auto port = variable(search, "KUBERNETES_SERVICE_PORT");
  const failure outside{ec::not_found, "this is no pod of a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set", "in-cluster", {}, {}};
  if (host.empty() || port.empty()) return outside;
  const bool v6 = host.find(':') != std::string::npos;
  auto server = parse_server_url("https://" + (v6 ? "[" + host + "]" : host) + ":" + port);
  if (!server) return failure{ec::invalid_spec, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT make no address", "in-cluster", {}, {}};
  client_config out;
  out.origin = "in-cluster";
  out.cluster.server = *std::move(server);
  out.cluster.certificate_authority.file = search.service_account_dir + "/ca.crt";
  out.user.token_file = search.service_account_dir + "/token";
  if (auto token = search.read_file(out.user.token_file); !token)
    return failure{token.error().code == ec::not_found ? ec::dependency_missing : token.error().code,
                   "the service account's token cannot be read; is automountServiceAccountToken off?", "in-cluster", "token", {}};
  const auto ns_file = search.read_file(search.service_account_dir + "/namespace");
  for (const auto& ns : {trimmed(variable(search, "POD_NAMESPACE")), ns_file ? trimmed(*ns_file) : std::string{}})
    if (!ns.empty()) {
      out.ns = ns;
      break;
    }
  return out;
}

result<client_config> load_client_config(const config_search& given) {
  const auto search = complete(given);
  if (!search.kubeconfig.empty()) return from_files(search, {search.kubeconfig}, true);
  if (const auto list = split_list(variable(search, "KUBECONFIG")); !list.empty()) return from_files(search, list, false);
  auto pod = in_cluster_config(search);
  if (pod || pod.error().code != ec::not_found) return pod;
  const auto home = variable(search, "HOME");
  return from_files(search, home.empty() ? std::vector<std::string>{} : std::vector{home + "/.kube/config"}, false);
}

} // namespace veranda::kube
