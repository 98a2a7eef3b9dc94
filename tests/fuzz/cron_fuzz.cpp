// links: veranda_logic
// Any text is either refused with a sentence or becomes a schedule whose times move forward.
#include "actors/logic/cron.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const auto schedule = veranda::logic::cron_schedule::parse(text);
  if (!schedule) {
    if (schedule.error().what.empty() || schedule.error().what.size() > 1024)
      std::abort();
    return 0;
  }
  veranda::wall_time t{std::chrono::seconds{1'773'137'250}};
  for (int i = 0; i < 8; ++i) {
    const auto next = schedule->next(t);
    if (!next)
      return 0;
    if (*next <= t)
      std::abort();
    t = *next;
  }
  return 0;
}
