#include "adapters/kube/kubeconfig.hpp"

#include "adapters/source/base64.hpp"

#include <algorithm>
#include <filesystem>
#include <yaml-cpp/yaml.h>

namespace veranda::kube {

namespace {

/// A rule that is broken; becomes the entry's failure.
struct broken_rule {
  failure why;
};

/// Reads the fields of one mapping of the file.
class fields {
public:
  fields(YAML::Node node, std::string object, std::string path) : node_(std::move(node)), object_(std::move(object)), path_(std::move(path)) {
    if (present() && !node_.IsMap()) refuse("", "must be a mapping");
  }

  [[nodiscard]] bool present() const { return node_.IsDefined() && !node_.IsNull(); }
  [[noreturn]] void refuse(std::string_view name, std::string what, ec code = ec::invalid_spec) const {
    throw broken_rule{{code, std::move(what), object_, name.empty() ? path_ : path_ + "." + std::string{name}, {}}};
  }
  [[nodiscard]] fields below(const char* name) const { return {child(name), object_, path_ + "." + name}; }
  [[nodiscard]] std::string text(const char* name) const {
    const auto found = child(name);
    if (!found.IsDefined() || found.IsNull()) return {};
    if (!found.IsScalar()) refuse(name, "must be a string");
    return found.Scalar();
  }
  [[nodiscard]] bool flag(const char* name) const {
    const auto value = text(name);
    if (!value.empty() && value != "true" && value != "false") refuse(name, "must be true or false");
    return value == "true";
  }
  [[nodiscard]] std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> out;
    for (const auto& item : sequence(name)) {
      if (!item.IsScalar()) refuse(name, "must be a list of strings");
      out.push_back(item.Scalar());
    }
    return out;
  }
  [[nodiscard]] YAML::Node sequence(const char* name) const {
    const auto found = child(name);
    if (!found.IsDefined() || found.IsNull()) return YAML::Node{YAML::NodeType::Sequence};
    if (!found.IsSequence()) refuse(name, "must be a list");
    return found;
  }
  /// Base64 under `name`.
  [[nodiscard]] std::string data(const char* name) const {
    auto decoded = source::decode_base64(text(name));
    if (!decoded) refuse(name, "is not base64");
    return *std::move(decoded);
  }
  /// All entries of a mapping whose keys are free: lists of strings.
  [[nodiscard]] std::map<std::string, std::vector<std::string>> entries() const {
    std::map<std::string, std::vector<std::string>> out;
    if (!present()) return out;
    for (const auto& pair : node_) {
      if (!pair.first.IsScalar()) refuse("", "must have strings as keys");
      out.emplace(pair.first.Scalar(), texts(pair.first.Scalar().c_str()));
    }
    return out;
  }
  [[nodiscard]] const std::string& object() const noexcept { return object_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
  [[nodiscard]] YAML::Node child(const char* name) const {
    if (!present()) return YAML::Node{YAML::NodeType::Undefined};
    const YAML::Node& fixed = node_; // the const operator adds nothing
    return fixed[name];
  }

  YAML::Node node_;
  std::string object_;
  std::string path_;
};

/// Paths of a file are relative to its directory.
std::string resolved(const std::string& path, const std::string& directory) {
  if (path.empty() || path.front() == '/') return path;
  return (std::filesystem::path{directory} / path).lexically_normal().string();
}

pem_source read_pem(const fields& from, const std::string& name, const std::string& directory) {
  return {from.data((name + "-data").c_str()), resolved(from.text(name.c_str()), directory)};
}

void check_proxy(const fields& from, const std::string& url) {
  const auto allowed = {"http://", "https://", "socks5://"};
  if (!url.empty() && std::none_of(allowed.begin(), allowed.end(), [&](const char* scheme) { return url.starts_with(scheme); }))
    from.refuse("proxy-url", "must be an http, https or socks5 URL");
}

cluster_config read_cluster(const fields& from, const std::string& directory) {
  cluster_config out;
  out.certificate_authority = read_pem(from, "certificate-authority", directory);
  out.insecure_skip_verify = from.flag("insecure-skip-tls-verify");
  out.tls_server_name = from.text("tls-server-name");
  out.disable_compression = from.flag("disable-compression");
  out.proxy_url = from.text("proxy-url");
  check_proxy(from, out.proxy_url);
  if (out.insecure_skip_verify && !out.certificate_authority.empty())
    from.refuse("insecure-skip-tls-verify", "must not be given together with a certificate authority");
  const auto server = from.text("server");
  if (server.empty()) from.refuse("server", "is required: the URL of the API server");
  const bool tls = !out.certificate_authority.empty() || out.insecure_skip_verify;
  auto url = parse_server_url(server, tls ? "https" : "http");
  if (!url) from.refuse("server", url.error().what);
  out.server = *std::move(url);
  return out;
}

exec_plugin read_exec(const fields& from, const std::string& directory) {
  exec_plugin out;
  out.api_version = from.text("apiVersion");
  if (out.api_version != "client.authentication.k8s.io/v1" && out.api_version != "client.authentication.k8s.io/v1beta1")
    from.refuse("apiVersion", "must be client.authentication.k8s.io/v1 or v1beta1", ec::unsupported);
  out.command = from.text("command");
  if (out.command.empty()) from.refuse("command", "is required: the program that prints the credentials");
  if (out.command.find('/') != std::string::npos) out.command = resolved(out.command, directory);
  out.arguments = from.texts("args");
  for (const auto& item : from.sequence("env")) {
    const fields variable{item, from.object(), from.path() + ".env"};
    const auto name = variable.text("name");
    if (name.empty() || name.find('=') != std::string::npos) variable.refuse("name", "must be the name of an environment variable");
    out.environment.emplace_back(name, variable.text("value"));
  }
  out.provide_cluster_info = from.flag("provideClusterInfo");
  out.install_hint = from.text("installHint");
  if (from.text("interactiveMode") == "Always") from.refuse("interactiveMode", "asks a person at a terminal, and there is none", ec::unsupported);
  return out;
}

impersonation read_impersonation(const fields& from) {
  impersonation out{from.text("as"), from.text("as-uid"), from.texts("as-groups"), from.below("as-user-extra").entries()};
  if (out.user.empty() && (!out.uid.empty() || !out.groups.empty() || !out.extra.empty()))
    from.refuse("as", "is required by as-uid, as-groups and as-user-extra");
  return out;
}

user_config read_user(const fields& from, const std::string& directory) {
  user_config out;
  out.client_certificate = read_pem(from, "client-certificate", directory);
  out.client_key = read_pem(from, "client-key", directory);
  if (out.client_certificate.empty() != out.client_key.empty()) from.refuse("client-key", "a client certificate and its key must be given together");
  out.token = from.text("token");
  out.token_file = resolved(from.text("tokenFile"), directory);
  out.username = from.text("username");
  out.password = from.text("password");
  if (!out.username.empty() && (!out.token.empty() || !out.token_file.empty())) from.refuse("username", "must not be given together with a token");
  if (const auto exec = from.below("exec"); exec.present()) out.exec = read_exec(exec, directory);
  const bool others = out.exec || !out.client_certificate.empty() || !out.token.empty() || !out.token_file.empty() || !out.username.empty();
  if (!others && from.below("auth-provider").present())
    from.refuse("auth-provider", "is no longer supported by Kubernetes; use an exec plugin", ec::unsupported);
  out.as = read_impersonation(from);
  return out;
}

kubeconfig::context read_context(const fields& from, const std::string&) {
  kubeconfig::context out{from.text("cluster"), from.text("user"), from.text("namespace")};
  if (out.cluster.empty()) from.refuse("cluster", "is required: the name of a cluster");
  return out;
}

/// The named entries of `list`, each an object under `member`.
template <class T, class Read>
std::map<std::string, kubeconfig::entry<T>> read_entries(const fields& top, const char* list, const char* member, const std::string& path, Read read) {
  std::map<std::string, kubeconfig::entry<T>> out;
  const auto directory = std::filesystem::path{path}.parent_path().string();
  for (const auto& item : top.sequence(list)) {
    const fields named{item, top.object(), list};
    const auto name = named.text("name");
    if (name.empty()) named.refuse("name", "is required");
    kubeconfig::entry<T> entry{path, {}, std::nullopt};
    try {
      entry.value = read(fields{item, top.object(), std::string{list} + "[" + name + "]"}.below(member), directory);
    } catch (const broken_rule& rule) {
      entry.broken = rule.why;
    }
    out.try_emplace(name, std::move(entry));
  }
  return out;
}

template <class T>
result<T> find_entry(const std::map<std::string, kubeconfig::entry<T>>& entries, const std::string& name, const std::string& object, const std::string& field) {
  const auto found = entries.find(name);
  if (found == entries.end()) return failure{ec::not_found, "names `" + name + "`, which is not defined", object, field, {}};
  if (found->second.broken) return *found->second.broken;
  return found->second.value;
}

} // namespace

result<kubeconfig> parse_kubeconfig(std::string_view text, const std::string& path) {
  const auto object = "kubeconfig " + path;
  try {
    const fields top{YAML::Load(std::string{text}), object, "kubeconfig"};
    if (const auto kind = top.text("kind"); !kind.empty() && kind != "Config") top.refuse("kind", "must be Config");
    kubeconfig out;
    out.file = path;
    out.current_context = top.text("current-context");
    out.clusters = read_entries<cluster_config>(top, "clusters", "cluster", path, read_cluster);
    out.users = read_entries<user_config>(top, "users", "user", path, read_user);
    out.contexts = read_entries<kubeconfig::context>(top, "contexts", "context", path, read_context);
    return out;
  } catch (const broken_rule& rule) {
    return rule.why;
  } catch (const YAML::Exception& e) {
    return failure{ec::invalid_spec, "is not valid YAML (line " + std::to_string(e.mark.line + 1) + ")", object, {}, {}}; // its own text may quote the file
  } catch (const std::exception&) {
    return failure{ec::invalid_spec, "cannot be read as YAML", object, {}, {}};
  }
}

kubeconfig merge(std::vector<kubeconfig> files) {
  kubeconfig out;
  for (auto& file : files) {
    if (out.file.empty()) out.file = file.file;
    if (out.current_context.empty()) out.current_context = std::move(file.current_context);
    out.clusters.merge(file.clusters); // keeps what is there
    out.users.merge(file.users);
    out.contexts.merge(file.contexts);
  }
  return out;
}

result<client_config> select_context(const kubeconfig& all, const std::string& name) {
  const auto& wanted = name.empty() ? all.current_context : name;
  if (wanted.empty()) return failure{ec::invalid_spec, "names no current context; set one, or name a context", "kubeconfig " + all.file, "current-context", {}};
  const auto found = find_entry(all.contexts, wanted, "kubeconfig " + all.file, "current-context");
  if (!found && !name.empty() && !all.contexts.contains(wanted))
    return failure{ec::not_found, "`" + wanted + "`: must be a context of kubeconfig " + all.file, "flag --context", {}, {}};
  if (!found) return found.error();
  const auto object = "kubeconfig " + all.contexts.at(wanted).file + ", context " + wanted;
  client_config out;
  out.origin = object;
  auto cluster = find_entry(all.clusters, found->cluster, object, "context.cluster");
  if (!cluster) return cluster.error();
  out.cluster = *std::move(cluster);
  if (!found->user.empty()) {
    auto user = find_entry(all.users, found->user, object, "context.user");
    if (!user) return user.error();
    out.user = *std::move(user);
  }
  if (!found->ns.empty()) out.ns = found->ns;
  return out;
}

} // namespace veranda::kube
