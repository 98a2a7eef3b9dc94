#pragma once

#include "actors/repository/repository.hpp"

namespace veranda {

// The log lines of a sync that the design of Porch's repository sync names, each with prefix `repositorySync <ns>:<name>:<dir>:<branch>:` and the fields key, sync_id and gen.

void log_line(const repository_state& st, const std::string& text);
void log_sync_started(const repository_state& st);
void log_sync_result(const repository_state& st, const msg::sync_result& synced);
/// Removals that are held, when they are others than before.
void log_held(const repository_state& st, const logic::sync_outcome& outcome);
void log_sync_finished(const repository_state& st, const logic::sync_outcome& outcome, std::chrono::milliseconds took);

} // namespace veranda
