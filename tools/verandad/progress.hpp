#pragma once

#include "actors/common/cells.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace veranda {

/// The beginning of a line of UTF-8 that fits into so many columns of a terminal, cut between characters. What may be wide (CJK, emoji) counts as two columns;
/// control characters become `?`.
inline std::string fit_to_columns(std::string_view line, std::size_t columns) {
  std::string out;
  for (std::size_t at = 0; at < line.size();) {
    std::size_t end = at + 1;
    while (end < line.size() && (static_cast<unsigned char>(line[end]) & 0xc0U) == 0x80U)
      ++end;
    const std::size_t wide = end - at > 2 ? 2 : 1;
    if (wide > columns)
      break;
    columns -= wide;
    const auto lead = static_cast<unsigned char>(line[at]);
    out.append(lead < 0x20 || lead == 0x7f ? std::string_view{"?"} : line.substr(at, end - at));
    at = end;
  }
  return out;
}

/// What a worker does, in a few words; empty when it is idle.
inline std::string work_of(const cell_view& view) {
  if (view.kind != "worker" || view.state == "idle")
    return {};
  std::string text = view.state;
  for (const auto& [name, value] : view.details)
    if ((name == "job" || name == "progress") && !value.empty())
      text += " " + value;
  return text;
}

/// `2/3 repositories  fetching team/a  1,200 objects; 1 more at work`. Those are counted as done that have come to rest: suspended ones, too.
inline std::string progress_text(const std::vector<cell_view>& cells) {
  std::size_t done = 0, all = 0, working = 0;
  std::string first;
  for (const auto& view : cells) {
    if (view.kind == "repository") {
      ++all;
      done += view.state == "Ready" || view.state == "Error" || view.state == "HostUnavailable" || view.state == "Suspended" ? 1U : 0U;
    } else if (auto work = work_of(view); !work.empty() && working++ == 0) {
      first = std::move(work);
    }
  }
  if (all == 0)
    return "reading manifests";
  return std::to_string(done) + "/" + std::to_string(all) + " repositories" + (first.empty() ? "" : "  " + first) +
         (working > 1 ? "; " + std::to_string(working - 1) + " more at work" : "");
}

} // namespace veranda
