#pragma once

#include "tools/veranda/client.hpp"
#include "tools/veranda/output.hpp"

#include "messages/model/object.hpp"
#include "messages/model/time.hpp"

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

/// Which Repositories a command is about: those of these names, all, or all whose remote is on a host.
struct repository_selection {
  std::vector<std::string> names;
  bool all = false;
  std::string host;
};
/// Leaves bare names of what `get -o name` prints. Answers what is wrong with the selection, if anything is.
[[nodiscard]] std::optional<std::string> plain_selection(const globals& g, repository_selection& of);
/// Asks the daemon for the list unless names are given. Blocks.
[[nodiscard]] result<std::vector<object_key>> find_repositories(api_client& client, const globals& g, const repository_selection& of);
/// A JSON merge patch; answers the patched object. Blocks.
[[nodiscard]] result<json> patch_repository(api_client& client, const object_key& key, const json& patch);
[[nodiscard]] object_key key_of(const json& object);
/// How output names a Repository.
[[nodiscard]] std::string shown(const globals& g, const object_key& key);

struct sync_options {
  repository_selection of;
  bool wait = false, full = false;
  bool allow_deletion = false; ///< carry out the removals that are held
  std::string at; ///< RFC 3339; empty: now
  std::string timeout = "10m";
};
int run_sync(const globals& g, const sync_options& o);

/// Sets or removes the annotation that pauses Repositories.
int run_suspend(const globals& g, const repository_selection& of, bool suspend);

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

struct explain_options {
  std::string name;
  std::string output = "text";
};
int run_explain(const globals& g, const explain_options& o);
/// The answer of the daemon, as `explain` prints it for people; times are said relative to `now`. Pure.
[[nodiscard]] std::string explanation_text(const json& explanation, wall_time now);

struct top_options {
  std::string sort = "busy";
  std::string output = "table";
  bool once = false;
};
int run_top(const globals& g, const top_options& o);
/// What `top` compares requests with: those of the last look.
struct top_sample {
  std::uint64_t requests = 0;
  double uptime = 0;
};
/// A header line, an empty one and a table, the costliest first; at most `height` lines (0: any number) of at most `width` characters (0: any). Only repositories
/// of `ns` (empty: all). Pure.
[[nodiscard]] std::string top_text(const json& load, const std::string& sort, const std::string& ns, std::optional<top_sample> before, std::size_t width, std::size_t height);
/// What `--sort` takes.
[[nodiscard]] const std::vector<std::string>& top_orders();

/// `2030-01-31T18:00:00Z (in 5s)`, `... (2m ago)`.
[[nodiscard]] std::string with_age(const std::string& stamp, wall_time now);

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
  std::string username, password_file, token_file, ssh_key_file, known_hosts_file;
};
int run_scan(const globals& g, const scan_options& o);

} // namespace veranda::cli
