#pragma once

#include "config/settings/settings.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace veranda::config {

/// One thing that can be set. The one table of these drives flags, environment, file, help and reference.
struct setting {
  std::string_view name;        ///< `repo-sync-frequency`: the flag without dashes and the key in the file
  std::string_view placeholder; ///< `DURATION`; empty for a switch
  std::string_view meaning;     ///< one sentence for people
  std::string rule;             ///< what a value must be, as in `must be ...`
  /// Sets the field, or leaves it alone and answers false when `text` breaks the rule.
  std::function<bool(settings&, std::string_view text)> assign;
  /// The value as it would be written in the file; of default settings, the default.
  std::function<std::string(const settings&)> show;
  bool repeatable = false; ///< a list: given several times, or as one value with commas
  bool reloads = false; ///< SIGHUP reads it anew; the others need a restart
  /// Takes the field over. Every row that reloads has it.
  std::function<void(settings& to, const settings& from)> copy = {};
};

/// All settings, in the order of the documentation. `config`, `help` and `version` are not among them: they have no value to keep.
std::span<const setting> setting_table();
/// The row called `name`, or null.
const setting* find_setting(std::string_view name);
/// What is in force once `again` was read: what reloads as it says, all else as before.
settings reloaded(settings in_force, const settings& again);
/// The name that somebody who wrote `name` may have meant: at most two edits away.
std::optional<std::string_view> nearest_setting(std::string_view name);
/// `VERANDAD_REPO_SYNC_FREQUENCY` of `repo-sync-frequency`.
std::string environment_name(std::string_view name);

} // namespace veranda::config
