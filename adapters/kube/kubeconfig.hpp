#pragma once

#include "adapters/kube/client_config.hpp"

namespace veranda::kube {

/// One kubeconfig file, or several merged. Entries know the file they came from.
struct kubeconfig {
  template <class T>
  struct entry {
    std::string file;
    T value;
    std::optional<failure> broken; ///< what is wrong with it; matters only when it is used
  };
  struct context {
    std::string cluster;
    std::string user;
    std::string ns;
  };
  std::string file; ///< the first
  std::string current_context;
  std::map<std::string, entry<cluster_config>> clusters;
  std::map<std::string, entry<user_config>> users;
  std::map<std::string, entry<context>> contexts;
};

/// Parses one file (YAML or JSON). Relative paths become paths below the file's directory. An entry that breaks a rule is kept with its failure, so that
/// it spoils nobody else; `invalid_spec` when the text is no kubeconfig. Pure; texts of failures quote no values.
result<kubeconfig> parse_kubeconfig(std::string_view text, const std::string& path);

/// The first file that names something wins: per entry, and for `current-context`. Pure.
kubeconfig merge(std::vector<kubeconfig> files);

/// The configuration of one context, `current-context` when `name` is empty. `not_found` for a name that is not there, `invalid_spec` for a broken entry.
result<client_config> select_context(const kubeconfig& all, const std::string& name);

} // namespace veranda::kube
