#pragma once

#include "tools/veranda/client.hpp"
#include "tools/veranda/output.hpp"

#include <optional>
#include <string>
#include <vector>

namespace veranda::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_error = 1;
inline constexpr int exit_usage = 2;

struct globals {
  server_options server;
  std::string ns = "default";
  bool all_namespaces = false;
};

/// A kind as the command line names it.
struct cli_kind {
  std::vector<std::string> names; ///< the first is the resource, the others stand for it
  std::string group;
  std::string kind;
};

/// Null when there is no such kind.
[[nodiscard]] const cli_kind* find_kind(const std::string& name);
/// What `KIND NAME...` or `KIND/NAME...` means, as kubectl takes them.
struct target {
  const cli_kind* kind = nullptr;
  std::vector<std::string> names;
};
[[nodiscard]] result<target> parse_target(const std::string& kind, const std::vector<std::string>& names);
/// `/apis/GROUP/v1alpha1[/namespaces/NS]/RESOURCE[/NAME]`; an empty namespace means all.
[[nodiscard]] std::string object_path(const cli_kind& kind, const std::string& ns, const std::string& name = {});
/// Prints `error: ...` on stderr and answers `exit_error`.
int fail(const failure& f);
int usage(const std::string& what);

/// The text at a path of objects, empty when there is none.
[[nodiscard]] std::string text_at(const json& object, std::initializer_list<const char*> path);
[[nodiscard]] json parse_json(const std::string& text);

struct get_options {
  std::string kind;
  std::vector<std::string> names;
  std::string labels, fields;
  std::string output = "table";
  bool watch = false;
};
int run_get(const globals& g, const get_options& o);

struct describe_options {
  std::string kind;
  std::vector<std::string> names;
};
int run_describe(const globals& g, const describe_options& o);

struct sync_options {
  std::vector<std::string> names;
  bool all = false, wait = false, full = false;
  std::string timeout = "10m";
};
int run_sync(const globals& g, const sync_options& o);

struct cron_options {
  std::string expression, from, zone;
  int count = 5;
  std::string output = "text";
};
int run_cron_next(const cron_options& o);

struct dump_options {
  std::string name;
  bool deep = false;
  std::string output = "table";
};
int run_dump(const globals& g, const dump_options& o);

struct files_options {
  std::vector<std::string> files;
  std::string kind; ///< with `names`, in place of files: what to delete
  std::vector<std::string> names;
};
int run_apply(const globals& g, const files_options& o);
int run_delete(const globals& g, const files_options& o);

struct scan_options {
  std::string url;
  std::string branch = "main", directory, output = "table", name = "scan";
  std::string username, password_file, token_file;
};
int run_scan(const globals& g, const scan_options& o);

} // namespace veranda::cli
