#include "config/settings/settings.hpp"

#include "config/settings/setting_table.hpp"
#include "messages/model/time.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>

namespace veranda::config {

namespace {

constexpr std::size_t max_file_bytes = 1U << 20U;
constexpr std::string_view environment_prefix = "VERANDAD_";

/// Variables in sorted order; the first of equal names counts, as for `getenv`.
using variables = std::map<std::string, std::string, std::less<>>;

variables as_variables(const std::vector<std::string>& environment) {
  variables out;
  for (const auto& entry : environment) {
    const auto equals = entry.find('=');
    if (equals != std::string::npos) out.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return out;
}

const std::string* find(const variables& all, std::string_view name) {
  const auto entry = all.find(name);
  return entry == all.end() || entry->second.empty() ? nullptr : &entry->second;
}

std::string one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

/// At most 80 bytes of a value.
std::string shown(std::string_view value) { return '"' + std::string{value.substr(0, 80)} + (value.size() > 80 ? "...\"" : "\""); }

class parser {
public:
  parser(const std::vector<std::string>& arguments, const std::vector<std::string>& environment)
    : arguments_(arguments), environment_(as_variables(environment)) {}

  parse_outcome run() && {
    read_flags();
    if (outcome_.help || outcome_.version) return std::move(outcome_);
    if (config_file_.empty()) {
      if (const auto* file = find(environment_, environment_name("config"))) config_file_ = *file;
    }
    if (!config_file_.empty()) read_file();
    read_environment();
    join_lists();
    for (const auto& given : flags_) assign(*given.row, given.value, "flag --" + std::string{given.row->name});
    derive();
    check_together();
    check_mode();
    check_election();
    return std::move(outcome_);
  }

private:
  struct given_flag {
    const setting* row;
    std::string value;
  };

  void problem(std::string source, std::string what) {
    outcome_.problems.push_back({ec::invalid_spec, one_line(std::move(what)), one_line(std::move(source)), {}, {}});
  }

  void assign(const setting& row, std::string_view value, const std::string& source) {
    if (row.assign(outcome_.value, value)) {
      source_[row.name] = source;
    } else {
      problem(source, shown(value) + ": " + row.rule);
    }
  }

  void unknown(std::string source, std::string_view name) {
    std::string what = "unknown setting: must be one of those that `verandad --help` lists";
    if (const auto meant = nearest_setting(name)) what += "; did you mean " + std::string{*meant} + "?";
    problem(std::move(source), std::move(what));
  }

  /// `--name value`, `--name=value`; a switch takes its value only behind `=`.
  void read_flags() {
    for (std::size_t i = 0; i < arguments_.size(); ++i) {
      const std::string_view argument = arguments_[i];
      if (argument == "--help" || argument == "-h") {
        outcome_.help = true;
      } else if (argument == "--version") {
        outcome_.version = true;
      } else if (!argument.starts_with("--") || argument == "--") {
        problem("argument " + shown(argument), "not expected: verandad takes flags only");
      } else {
        const auto equals = argument.find('=');
        const auto name = argument.substr(2, equals == std::string_view::npos ? equals : equals - 2);
        auto value = equals == std::string_view::npos ? std::optional<std::string>{} : std::string{argument.substr(equals + 1)};
        i += read_flag(name, std::move(value), i + 1 < arguments_.size() ? &arguments_[i + 1] : nullptr);
      }
    }
  }

  /// Answers how many further arguments it used.
  std::size_t read_flag(std::string_view name, std::optional<std::string> value, const std::string* next) {
    const auto* row = find_setting(name);
    if (row == nullptr && name != "config") {
      unknown("flag --" + std::string{name.substr(0, 80)}, name);
      return !value && next != nullptr && !next->starts_with("--") ? 1 : 0;
    }
    std::size_t used = 0;
    if (!value && row != nullptr && row->placeholder.empty()) value = "true";
    if (!value && next != nullptr && !next->starts_with("--")) {
      value = *next;
      used = 1;
    }
    if (!value) {
      problem("flag --" + std::string{name}, "a value is missing: " + (row != nullptr ? row->rule : std::string{"must be the path of a YAML file"}));
    } else if (row == nullptr) {
      config_file_ = *value;
    } else {
      flags_.push_back({row, *std::move(value)});
    }
    return used;
  }

  /// A list that was given by several flags becomes the last of them.
  void join_lists() {
    std::map<const setting*, std::string> joined;
    for (auto& given : flags_) {
      if (!given.row->repeatable) continue;
      auto& all = joined[given.row];
      all = all.empty() ? given.value : all + "," + given.value;
      given.value = all;
    }
  }

  void read_environment() {
    for (const auto& [name, value] : environment_) {
      if (!name.starts_with(environment_prefix) || name == environment_name("config") || is_service_link(name) || value.empty()) continue;
      std::string key = name.substr(environment_prefix.size());
      std::ranges::transform(key, key.begin(), [](char c) { return c == '_' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
      const auto* row = find_setting(key);
      if (row == nullptr || environment_name(key) != name) {
        unknown(name.substr(0, 80), key);
      } else {
        assign(*row, value, name);
      }
    }
  }

  /// Kubernetes sets these in every pod of a namespace that has a Service called `verandad`; they are not meant for us.
  static bool is_service_link(std::string_view name) {
    return name.starts_with("VERANDAD_SERVICE_") || name == "VERANDAD_PORT" || name.starts_with("VERANDAD_PORT_");
  }

  void read_file() {
    std::ifstream in(config_file_, std::ios::binary);
    std::string text;
    if (in) {
      text.resize(max_file_bytes + 1);
      in.read(text.data(), static_cast<std::streamsize>(text.size()));
      text.resize(static_cast<std::size_t>(in.gcount()));
    }
    if (!in.is_open() || in.bad()) return problem(config_file_, "cannot be read: must be a YAML file");
    if (text.size() > max_file_bytes) return problem(config_file_, "larger than 1 MiB: must be a YAML file of settings");
    try {
      read_document(YAML::Load(text));
    } catch (const YAML::Exception& e) {
      problem(config_file_ + ":" + std::to_string(e.mark.line + 1), "not valid YAML: " + e.msg);
    }
  }

  void read_document(const YAML::Node& document) {
    if (document.IsNull()) return;
    if (!document.IsMap()) return problem(config_file_, "must be a mapping of settings to values");
    std::set<std::string> seen;
    for (const auto& entry : document) {
      const auto key = entry.first.IsScalar() ? entry.first.Scalar() : std::string{"?"};
      const auto source = config_file_ + ":" + key.substr(0, 80);
      const auto* row = find_setting(key);
      if (row == nullptr) {
        unknown(source, key);
      } else if (!seen.insert(key).second) {
        problem(source, "given twice: must be given once");
      } else if (row->repeatable && entry.second.IsSequence()) {
        assign(*row, joined(entry.second), source);
      } else if (!entry.second.IsScalar()) {
        problem(source, "must be a single value: " + row->rule);
      } else {
        assign(*row, entry.second.Scalar(), source);
      }
    }
  }

  static std::string joined(const YAML::Node& sequence) {
    std::string out;
    for (const auto& item : sequence) out.append(out.empty() ? "" : ",").append(item.IsScalar() ? item.Scalar() : std::string{"?"});
    return out;
  }

  /// Defaults that depend on the environment or on other settings.
  void derive() {
    auto& s = outcome_.value;
    s.kubernetes = s.kubernetes || (!s.kubeconfig.empty() && !source_.contains("kubernetes"));
    if (s.kubernetes && !source_.contains("allow-local")) s.allow_local = false;
    if (s.data_dir.empty() && !failed("data-dir")) {
      const auto* data = find(environment_, "XDG_DATA_HOME");
      const auto* home = find(environment_, "HOME");
      if (data != nullptr && data->front() == '/') {
        s.data_dir = std::filesystem::path{*data} / "veranda";
      } else if (home != nullptr) {
        s.data_dir = std::filesystem::path{*home} / ".local/share/veranda";
      } else {
        problem("flag --data-dir", "not given: must be a directory when neither XDG_DATA_HOME nor HOME is set");
      }
    }
  }

  bool failed(std::string_view name) const {
    return std::ranges::any_of(outcome_.problems, [&](const failure& f) {
      return f.object == "flag --" + std::string{name} || f.object == environment_name(name) || f.object.ends_with(":" + std::string{name});
    });
  }

  std::string source_of(std::string_view name) const {
    const auto source = source_.find(name);
    return source == source_.end() ? "flag --" + std::string{name} : source->second;
  }

  void check_together() {
    const auto& s = outcome_.value;
    if (s.tls_certificate.empty() != s.tls_key.empty() && !failed("tls-certificate") && !failed("tls-key")) {
      const bool key = s.tls_certificate.empty();
      problem(source_of(key ? "tls-key" : "tls-certificate"),
              shown((key ? s.tls_key : s.tls_certificate).string()) + ": must come together with " + (key ? "tls-certificate" : "tls-key"));
    }
    const bool loopback = s.listen_address == "::1" || s.listen_address.starts_with("127.");
    if (!loopback && s.tls_certificate.empty() && s.tls_key.empty() && !s.once) {
      problem(source_of("listen"), shown(s.listen_address) + ": an address other than loopback must come with tls-certificate and tls-key");
    }
  }

  /// What only one of the modes knows.
  void check_mode() {
    const auto& s = outcome_.value;
    if (s.kubernetes) {
      for (const std::string_view name : {"manifests", "allow-manifest-deletion"})
        if (source_.contains(name)) problem(source_of(name), "has no meaning with kubernetes: objects come from the API server");
    } else if (!failed("kubernetes") && !failed("kubeconfig")) {
      for (const std::string_view name : {"kubeconfig", "context", "namespace", "selector", "kube-api-qps", "kube-api-burst", "leader-elect", "lease-name", "lease-namespace",
                                          "finalizer", "namespace-ca-bundle", "watch-secrets"})
        if (source_.contains(name)) problem(source_of(name), "must come together with kubernetes");
      if (s.cache == cache_kind::cr) problem(source_of("cache"), "\"cr\": must come together with kubernetes: it keeps PackageRev objects in an API server");
    }
    if (s.cache != cache_kind::cr && !failed("cache"))
      for (const std::string_view name : {"porch-owner-refs", "package-rev-writes"})
        if (source_.contains(name)) problem(source_of(name), "must come together with --cache cr");
  }

  void check_election() {
    const auto& s = outcome_.value;
    constexpr std::array<std::string_view, 3> all{"lease-duration", "lease-renew-deadline", "lease-retry-period"};
    if (!s.leader_elect && !failed("leader-elect"))
      for (const auto name : all)
        if (source_.contains(name)) problem(source_of(name), "must come together with leader-elect");
    if (s.leader_elect && s.once) problem(source_of("leader-elect"), "has no meaning with once: a single pass waits for nobody");
    if (std::ranges::any_of(all, [this](std::string_view name) { return failed(name); })) return;
    const bool in_order = s.lease_duration > s.lease_renew_deadline && s.lease_renew_deadline * 5 > s.lease_retry_period * 6;
    if (in_order) return;
    const auto given = std::ranges::find_if(all, [this](std::string_view name) { return source_.contains(name); });
    problem(source_of(given == all.end() ? "lease-duration" : *given),
            "must hold: lease-duration (" + format_go_duration(s.lease_duration) + ") is longer than lease-renew-deadline (" + format_go_duration(s.lease_renew_deadline) +
              "), and that longer than 1.2 times lease-retry-period (" + format_go_duration(s.lease_retry_period) + ")");
  }

  const std::vector<std::string>& arguments_;
  variables environment_;
  parse_outcome outcome_;
  std::string config_file_;
  std::vector<given_flag> flags_;
  std::map<std::string_view, std::string, std::less<>> source_; ///< who set each setting last
};

std::string default_of(const setting& row) {
  if (row.name == "data-dir") return "$XDG_DATA_HOME/veranda or ~/.local/share/veranda";
  if (row.name == "token-file") return "<data-dir>/token";
  if (row.name == "allow-local") return "true, with kubernetes false";
  return row.show(settings{});
}

/// `text` in lines of at most 100 columns, each behind `indent` blanks.
constexpr const char* reloads = " SIGHUP reads it anew.";

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string out;
  const std::string margin(indent, ' ');
  while (!text.empty()) {
    auto end = std::min<std::size_t>(text.size(), 100 - indent);
    if (end < text.size()) end = text.rfind(' ', end);
    out.append(margin).append(text.substr(0, end)).append("\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

} // namespace

parse_outcome parse(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
  return parser{arguments, environment}.run();
}

std::string help_text() {
  std::string out = "verandad keeps a cache of KRM package revisions in step with the git repositories that hold them.\n\n"
                    "Usage: verandad [--manifests DIR | --kubernetes] [--data-dir DIR] [--listen ADDR:PORT] [setting...]\n"
                    "       verandad release [setting...]\n\n"
                    "release lets go of the objects of a Kubernetes cluster, for an uninstall: see verandad release --help.\n"
                    "Every setting is a flag, a variable (VERANDAD_REPO_SYNC_FREQUENCY=5m) or a key of the YAML file that\n"
                    "--config names (repo-sync-frequency: 5m). A flag beats a variable, a variable beats the file.\n\n"
                    "  --config FILE\n      YAML file of settings.\n";
  for (const auto& row : setting_table()) {
    out.append("  --").append(row.name);
    if (!row.placeholder.empty()) out.append(" ").append(row.placeholder);
    out.append("\n");
    const auto given = default_of(row);
    out.append(wrapped(std::string{row.meaning} + (given.empty() ? "" : " Default: " + given + ".") + (row.reloads ? reloads : ""), 6));
  }
  return out + "  --version\n      Print the version and exit.\n  --help, -h\n      Print this and exit.\n";
}

std::string reference_markdown() {
  std::string out = "| Flag | Variable | Default | Meaning and rule |\n|---|---|---|---|\n"
                    "| `--config FILE` | `VERANDAD_CONFIG` | | YAML file of settings: one mapping, keys as the flags without dashes. |\n";
  for (const auto& row : setting_table()) {
    out.append("| `--").append(row.name);
    if (!row.placeholder.empty()) out.append(" ").append(row.placeholder);
    out.append("` | `").append(environment_name(row.name)).append("` | ");
    if (const auto given = default_of(row); !given.empty()) out.append("`").append(given).append("` ");
    out.append("| ").append(row.meaning);
    if (row.rule != "must be a path" && row.rule != "must be true or false") {
      out.append(" It ").append(row.rule).append(".");
    }
    if (row.reloads) out.append(reloads);
    out.append(" |\n");
  }
  return out;
}

} // namespace veranda::config
