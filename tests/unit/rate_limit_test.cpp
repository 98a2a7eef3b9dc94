// links: veranda_adapter_git
#define BOOST_TEST_MODULE rate_limit
#include "adapters/git/rate_limit.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::git;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(how_long_to_wait) {
  struct row {
    const char* why;
    long status;
    budget_headers headers;
    std::chrono::seconds expected; ///< 0: it does not say
  };
  // 2026-03-10 10:00:00 UTC
  const wall_time now = std::chrono::sys_days{std::chrono::year{2026} / 3 / 10} + 10h;
  const std::string in_a_minute = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() + 60);
  const std::string a_minute_ago = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count() - 60);
  const row rows[] = {
      {"nothing said", 429, {}, 0s},
      {"seconds", 429, {"17", {}, {}}, 17s},
      {"seconds of an overloaded server", 503, {"17", {}, {}}, 17s},
      {"a date", 429, {"Tue, 10 Mar 2026 10:02:00 GMT", {}, {}}, 120s},
      {"a date of old", 503, {"Tuesday, 10-Mar-26 10:02:00 GMT", {}, {}}, 120s},
      {"a date that is over", 503, {"Tue, 10 Mar 2026 09:00:00 GMT", {}, {}}, 0s},
      {"no date", 503, {"soon", {}, {}}, 0s},
      {"less than nothing", 503, {"-5", {}, {}}, 0s},
      {"at once", 503, {"0", {}, {}}, 0s},
      {"years", 503, {"99999999999999999999", {}, {}}, 86'400s},
      {"Retry-After of other answers is about something else", 500, {"17", {}, {}}, 0s},
      {"also of good ones", 200, {"17", {}, {}}, 0s},
      {"GitHub: budget used up, Unix time", 403, {{}, "0", in_a_minute}, 60s},
      {"GitHub: secondary limit", 403, {"60", "41", in_a_minute}, 60s},
      {"a refusal with budget left is a refusal", 403, {{}, "41", in_a_minute}, 0s},
      {"GitLab: too many, Unix time", 429, {{}, "0", in_a_minute}, 60s},
      {"GitLab says both", 429, {"30", "0", in_a_minute}, 30s},
      {"too many, and when it is reset", 429, {{}, {}, "45"}, 45s},
      {"the draft standard: seconds from now", 429, {{}, "0", "45"}, 45s},
      {"the last request of the budget was answered", 200, {{}, "0", "45"}, 45s},
      {"the last but one", 200, {{}, "1", "45"}, 0s},
      {"reset already", 200, {{}, "0", a_minute_ago}, 0s},
      {"used up without a time", 200, {{}, "0", {}}, 0s},
      {"nonsense", 200, {{}, "0", "tomorrow"}, 0s},
      {"nonsense too", 200, {{}, "none", "45"}, 0s},
  };
  for (const auto& r : rows) {
    const auto pause = pause_of(r.status, r.headers, now);
    BOOST_TEST((pause.value_or(0ms) == r.expected), r.why << ": " << pause.value_or(0ms).count() << " ms");
  }
}
