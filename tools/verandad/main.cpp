#include "actors/common/log.hpp"
#include "actors/system/system.hpp"
#include "tools/verandad/once.hpp"
#include "tools/verandad/release.hpp"
#include "tools/verandad/service_report.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

namespace {

constexpr int exit_settings = 2;
constexpr int exit_in_use = 3;
constexpr int exit_not_leading = 75; ///< this process led, and can no longer be sure of it (sysexits' EX_TEMPFAIL: begin again)
constexpr int exit_fatal = 70; ///< an actor the process cannot live without has ended (sysexits' EX_SOFTWARE)

/// Blocks the signals that end or reload the process, so that every thread made later leaves them to `main`.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int s : {SIGTERM, SIGINT, SIGHUP})
    sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

std::atomic<bool> fatal_death{false};
std::atomic<bool> told_to_end{false}; ///< by a signal

/// Exit status of a process that leads no more: none is needed from one that was to end anyway.
int leaving_status() { return fatal_death ? exit_fatal : told_to_end ? 0 : exit_not_leading; }

/// Whoever leads next may begin at any moment, so nothing is brought to an end in order: one line, and out. The line must not hold that up, whoever reads it.
[[noreturn]] void stop_leading(const std::string& lease, const std::string& why) {
  static std::atomic<bool> begun{false};
  while (begun.exchange(true)) // another thread is at it
    pause();
  std::signal(SIGALRM, [](int) { _exit(leaving_status()); });
  alarm(1);
  if (told_to_end)
    veranda::log::warn("verandad", "the Lease ran out before everything had ended in order; this process ends at once", {{"lease", lease}, {"err", why}});
  else
    veranda::log::error("verandad", "this process leads no more and ends at once", {{"lease", lease}, {"err", why}});
  veranda::log::stop();
  _exit(leaving_status());
}

/// Waits for a signal, at most `slice`; 0 when none came.
int wait_for_signal(const sigset_t& set, std::chrono::milliseconds slice) {
  const timespec wait{static_cast<time_t>(slice.count() / 1000), static_cast<long>(slice.count() % 1000) * 1'000'000L};
  const int s = sigtimedwait(&set, nullptr, &wait);
  return s < 0 ? 0 : s;
}

/// Whether a signal that ends the process has come; there is nothing to reload with `--once`.
bool interrupted(const sigset_t& set) {
  const int s = wait_for_signal(set, std::chrono::milliseconds{0});
  return s == SIGTERM || s == SIGINT;
}

int report(const std::vector<veranda::failure>& problems) {
  for (const auto& p : problems)
    std::cerr << "verandad: " << veranda::describe(p) << "\n";
  std::cerr << "verandad: see verandad --help\n";
  return exit_settings;
}

int exit_code_of(const veranda::failure& why) {
  switch (why.code) {
  case veranda::ec::conflict: return exit_in_use;
  case veranda::ec::invalid_spec:
  case veranda::ec::not_found:
  case veranda::ec::unsupported: return exit_settings;
  default: return 1;
  }
}

std::string variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::string{} : std::string{value};
}

/// Serves until a signal says otherwise.
int serve(veranda::running_system& system, const veranda::config::settings& settings, const std::vector<std::string>& arguments,
          const std::vector<std::string>& environment, const sigset_t& signals) {
  const std::string scheme = settings.tls_certificate.empty() ? "http" : "https";
  const auto url = scheme + "://" + settings.listen_address + ":" + std::to_string(system.port());
  veranda::log::info("verandad", "serving",
                     {{"url", url}, {"data", settings.data_dir.string()}, {"manifests", settings.manifests.string()}, {"version", VERANDA_VERSION}});
  veranda::process::service_manager manager{variable};
  veranda::service_report report{manager, url, std::chrono::steady_clock::now()};
  auto shutdown_deadline = settings.shutdown_deadline;
  for (;;) {
    report.update(system.ready(), system.cells(), std::chrono::steady_clock::now());
    const int s = wait_for_signal(signals, std::chrono::milliseconds{500});
    if (fatal_death)
      return exit_fatal;
    if (system.leadership_lapsed()) // and whoever should have noticed did not
      stop_leading(settings.lease_name, "it was not renewed in time");
    if (s == SIGHUP) {
      report.reloading();
      auto again = veranda::config::parse(arguments, environment);
      if (again.problems.empty()) {
        system.reload(again.value);
        shutdown_deadline = again.value.shutdown_deadline;
      } else {
        veranda::log::warn("verandad", "settings were not reloaded", {{"err", veranda::describe(again.problems.front())}});
      }
      report.reloaded();
    } else if (s != 0) {
      told_to_end = true;
      manager.stopping(shutdown_deadline + std::chrono::seconds{5});
      veranda::log::info("verandad", "stopping", {{"signal", strsignal(s)}});
      return 0;
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  umask(077);
  const std::vector<std::string> arguments{argv + 1, argv + argc};
  std::vector<std::string> environment;
  for (char** e = environ; *e != nullptr; ++e)
    environment.emplace_back(*e);
  if (!arguments.empty() && arguments.front() == "release")
    return veranda::run_release({arguments.begin() + 1, arguments.end()}, environment); // signals end it
  const auto signals = block_signals();
  auto parsed = veranda::config::parse(arguments, environment);
  if (parsed.help) {
    std::cout << veranda::config::help_text();
    return 0;
  }
  if (parsed.version) {
    std::cout << "verandad " VERANDA_VERSION "\n";
    return 0;
  }
  if (!parsed.problems.empty())
    return report(parsed.problems);
  const auto& settings = parsed.value;
  veranda::log::start(settings.log_format == veranda::config::log_format::json, veranda::log::parse_level(settings.log_level),
                      settings.once && veranda::shows_progress());
  int code = 0;
  {
    auto started = veranda::start_system(settings, {[](const std::string& kind) {
                                           veranda::log::error("verandad", "an actor that the process cannot live without has ended", {{"actor", kind}});
                                           fatal_death = true;
                                         },
                                         [](const veranda::object_key& lease, const veranda::failure& why) { stop_leading(to_string(lease), why.what); }});
    if (!started) {
      std::cerr << "verandad: " << veranda::describe(started.error()) << "\n";
      code = exit_code_of(started.error());
    } else {
      auto& system = **started;
      code = settings.once ? veranda::run_once(system, [&] { return fatal_death || interrupted(signals); })
                           : serve(system, settings, arguments, environment, signals);
      if (fatal_death)
        code = exit_fatal;
      if (!system.shut_down()) {
        veranda::log::stop();
        _exit(code != 0 ? code : 1);
      }
    }
  }
  veranda::log::stop();
  return code;
}
