#include "tools/veranda/commands.hpp"
#include "tools/veranda/completion.hpp"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <functional>
#include <iostream>

#ifndef VERANDA_VERSION
#define VERANDA_VERSION "(unknown version)"
#endif

namespace veranda::cli {
namespace {

std::string environment(const char* name) {
  const auto* value = std::getenv(name);
  return value == nullptr ? std::string{} : std::string{value};
}

/// Where the daemon keeps its data when it is not told.
std::string default_data_dir() {
  if (const auto xdg = environment("XDG_DATA_HOME"); !xdg.empty())
    return xdg + "/veranda";
  const auto home = environment("HOME");
  return home.empty() ? std::string{} : home + "/.local/share/veranda";
}

/// Everything the command line can say; lives as long as the parser refers to it.
struct command_line {
  globals g;
  get_options get;
  describe_options describe;
  sync_options sync;
  repository_selection suspend, resume;
  cron_options cron;
  dump_options dump;
  explain_options explain;
  top_options top;
  files_options apply, remove;
  scan_options scan;
  std::string shell;
  std::function<int()> chosen;
};

const std::vector<std::string> list_outputs{"table", "wide", "json", "yaml", "name"};

void add_globals(CLI::App& app, globals& g) {
  g.server.data_dir = default_data_dir();
  g.server.token = environment("VERANDA_TOKEN");
  app.add_option("--server", g.server.server, "URL of the daemon")->envname("VERANDA_SERVER")->default_val("http://127.0.0.1:7878");
  app.add_option("--data-dir", g.server.data_dir, "The daemon's data directory: its token is read there, unless VERANDA_TOKEN is set")->capture_default_str();
  app.add_option("--ca-file", g.server.ca_file, "PEM file of the authorities to trust, in place of the system's");
  app.add_option("-n,--namespace", g.ns, "Namespace")->capture_default_str()->check([](const std::string& s) { return s.empty() ? "must not be empty" : ""; });
  app.add_flag("-A,--all-namespaces", g.all_namespaces, "All namespaces");
}

CLI::App* add(CLI::App& app, const std::string& name, const std::string& text, std::function<int()>& chosen, std::function<int()> run) {
  auto* sub = app.add_subcommand(name, text);
  sub->callback([&chosen, run = std::move(run)] { chosen = run; });
  return sub;
}

void add_reading(CLI::App& app, command_line& c) {
  auto* get = add(app, "get", "List objects, or show some by name", c.chosen, [&c] { return run_get(c.g, c.get); });
  get->add_option("kind", c.get.kind, "repositories (repos, repo), packagerevisions (pr, rpkg), packagerevisionresources, packages (pkg)")->required();
  get->add_option("name", c.get.names, "Names; none: all");
  get->add_option("-l,--selector", c.get.labels, "Label selector, as for kubectl");
  get->add_option("--field-selector", c.get.fields, "Field selector: metadata.name, spec.repository, spec.packageName, spec.lifecycle, ...");
  get->add_option("-o,--output", c.get.output, "table, wide, json, yaml or name")->check(CLI::IsMember(list_outputs))->capture_default_str();
  get->add_flag("-w,--watch", c.get.watch, "After that, print changes as they come");

  auto* describe = add(app, "describe", "Show an object in full, for reading", c.chosen, [&c] { return run_describe(c.g, c.describe); });
  describe->add_option("kind", c.describe.kind, "Kind, as for get")->required();
  describe->add_option("name", c.describe.names, "Names");

  auto* explain = add(app, "explain", "Say what a repository does and why, when it is synced next, and how its last syncs went", c.chosen, [&c] { return run_explain(c.g, c.explain); });
  explain->add_option("name", c.explain.name, "Name of the repository")->required();
  explain->add_option("-o,--output", c.explain.output, "text, json or yaml")->check(CLI::IsMember({"text", "json", "yaml"}))->capture_default_str();

  auto* top = add(app, "top", "Show what the daemon does, and which repositories of the namespace cost most, or of all with -A", c.chosen, [&c] { return run_top(c.g, c.top); });
  top->add_option("--sort", c.top.sort, "Column to sort by: busy, syncs, failures, last, late, fetched, packages or name")->check(CLI::IsMember(top_orders()))->capture_default_str();
  top->add_flag("--once", c.top.once, "Print once and end, on a terminal too");
  top->add_option("-o,--output", c.top.output, "table or json; json is printed once")->check(CLI::IsMember({"table", "json"}))->capture_default_str();

  auto* dump = add(app, "dump", "Show every actor of the daemon, or one", c.chosen, [&c] { return run_dump(c.g, c.dump); });
  dump->add_option("name", c.dump.name, "Name of an actor or repository");
  dump->add_flag("--deep", c.dump.deep, "Ask the actor itself for everything it knows");
  dump->add_option("-o,--output", c.dump.output, "table or json")->check(CLI::IsMember({"table", "json"}))->capture_default_str();
}

void add_selection(CLI::App& command, repository_selection& of) {
  command.add_option("name", of.names, "Names of repositories");
  command.add_flag("--all", of.all, "All repositories of the namespace, or of all with -A");
  command.add_option("--host", of.host, "All whose remote is on this host, of the namespace, or of all with -A");
}

void add_writing(CLI::App& app, command_line& c) {
  auto* sync = add(app, "sync", "Sync repositories now", c.chosen, [&c] { return run_sync(c.g, c.sync); });
  add_selection(*sync, c.sync.of);
  sync->add_option("--at", c.sync.at, "Sync once at this time (RFC 3339), beside the schedule");
  sync->add_flag("--wait", c.sync.wait, "Wait for the result; exit status 1 when one is not ready");
  sync->add_flag("--full", c.sync.full, "Compare everything anew");
  sync->add_flag("--allow-deletion", c.sync.allow_deletion, "Carry out the removals that are held (condition DeletionHeld), once; syncs only repositories that hold some");
  sync->add_option("--timeout", c.sync.timeout, "How long --wait waits")->capture_default_str();

  add_selection(*add(app, "suspend", "Pause repositories: nothing is synced until they are resumed", c.chosen, [&c] { return run_suspend(c.g, c.suspend, true); }), c.suspend);
  add_selection(*add(app, "resume", "Let suspended repositories go on, with a sync at once", c.chosen, [&c] { return run_suspend(c.g, c.resume, false); }), c.resume);

  auto* apply = add(app, "apply", "Create or change Repository objects", c.chosen, [&c] { return run_apply(c.g, c.apply); });
  apply->add_option("-f,--filename", c.apply.files, "File, directory or - for standard input")->required();
  auto* remove = add(app, "delete", "Delete Repository objects", c.chosen, [&c] { return run_delete(c.g, c.remove); });
  remove->add_option("-f,--filename", c.remove.files, "File, directory or - for standard input");
  remove->add_option("kind", c.remove.kind, "repository, in place of -f");
  remove->add_option("name", c.remove.names, "Names");
}

void add_without_daemon(CLI::App& app, command_line& c) {
  auto* cron = app.add_subcommand("cron", "Work with cron expressions");
  cron->require_subcommand(1);
  auto* next = add(*cron, "next", "Print when an expression fires next", c.chosen, [&c] { return run_cron_next(c.cron); });
  next->add_option("expression", c.cron.expression, "Cron expression, quoted")->required();
  next->add_option("--from", c.cron.from, "Time to start behind, RFC 3339; default: now");
  next->add_option("--tz", c.cron.zone, "Zone to read and print times in; default: UTC, printed with the offset of --from");
  next->add_option("-n", c.cron.count, "How many")->check(CLI::Range(1, 1000))->capture_default_str();
  next->add_option("-o,--output", c.cron.output, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();

  auto* scan = add(app, "scan", "Show what would be found in a repository: no daemon, no state", c.chosen, [&c] { return run_scan(c.g, c.scan); });
  scan->add_option("url", c.scan.url, "https or http URL, or a local path")->required();
  scan->add_option("--branch", c.scan.branch, "Registered branch")->capture_default_str();
  scan->add_option("--directory", c.scan.directory, "Directory that holds the packages");
  scan->add_option("--name", c.scan.name, "Name of the Repository, which names begin with")->capture_default_str();
  scan->add_option("-o,--output", c.scan.output, "table, json, yaml or name")->check(CLI::IsMember({"table", "json", "yaml", "name"}))->capture_default_str();
  scan->add_option("--username", c.scan.username, "User for basic authentication");
  scan->add_option("--password-file", c.scan.password_file, "File with the password");
  scan->add_option("--token-file", c.scan.token_file, "File with a bearer token");
  scan->add_option("--ssh-key-file", c.scan.ssh_key_file, "File with an ssh key without a passphrase");
  scan->add_option("--known-hosts-file", c.scan.known_hosts_file, "File with the ssh host's keys");

  add(app, "version", "Print the version", c.chosen, [] {
    std::cout << "veranda " << VERANDA_VERSION << '\n';
    return exit_ok;
  });
  auto* completion = add(app, "completion", "Print a script that completes words in a shell", c.chosen, [&c] {
    std::cout << completion_script(c.shell);
    return exit_ok;
  });
  completion->add_option("shell", c.shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
}

int run(int argc, char** argv) {
  CLI::App app{"Shows and steers a verandad: repositories, the package revisions found in them, and their syncs.", "veranda"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "veranda " VERANDA_VERSION, "Print the version");
  command_line c;
  add_globals(app, c.g);
  add_reading(app, c);
  add_writing(app, c);
  add_without_daemon(app, c);
  if (argc < 2) {
    std::cerr << app.help();
    return exit_usage;
  }
  if (std::string_view{argv[1]} == "__complete") { // what the scripts of `completion` ask
    for (const auto& word : complete(app, {argv + 2, argv + argc}))
      std::cout << word << '\n';
    return exit_ok;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& e) {
    const auto strange = app.remaining();
    return app.get_subcommands().empty() && !strange.empty() ? usage("unknown command \"" + strange.front() + "\": veranda --help lists them")
                                                             : (app.exit(e), exit_usage);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? exit_ok : exit_usage;
  }
  return c.chosen ? c.chosen() : exit_usage;
}

} // namespace
} // namespace veranda::cli

int main(int argc, char** argv) {
  try {
    return veranda::cli::run(argc, argv);
  } catch (const std::exception& e) {
    std::cerr << "error: " << e.what() << '\n';
    return veranda::cli::exit_error;
  }
}
