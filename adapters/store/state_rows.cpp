#include "adapters/store/state_rows.hpp"

#include "adapters/store/revision_rows.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <span>

namespace veranda::store {
namespace {

using nlohmann::json;

std::optional<wall_time> read_time(const sqlite::query& q, int column) {
  return q.is_null(column) ? std::nullopt : std::optional{to_wall_time(q.integer(column))};
}

constexpr std::string_view select_repository =
    "SELECT id, ns, name, uid, fence, epoch, branch_commit, basis_digest, basis_commit, accepted_run_once, consumed_run_once, handled_request, "
    "last_success, last_error, last_error_code, next_sync, revisions, packages, bad, bad_count, basis_source, deletion_hold FROM repositories ";

repository_row read_row(const sqlite::query& q) {
  int c = 0;
  repository_row row;
  auto& s = row.state;
  row.id = q.integer(c++);
  s.key.ns = q.text(c++);
  s.key.name = q.text(c++);
  s.uid = q.text(c++);
  s.fence = q.integer(c++);
  row.epoch = q.integer(c++);
  if (const auto commit = q.view(c++); commit.size() == row.branch_commit.bytes.size())
    std::memcpy(row.branch_commit.bytes.data(), commit.data(), commit.size());
  s.basis.digest = q.text(c++);
  s.basis.commit = q.text(c++);
  s.accepted_run_once = read_time(q, c++);
  s.consumed_run_once = read_time(q, c++);
  s.handled_request = q.text(c++);
  s.last_success = read_time(q, c++);
  s.last_error = q.text(c++);
  if (!q.is_null(c))
    s.last_error_code = parse_ec(q.view(c));
  ++c;
  s.next_sync = read_time(q, c++);
  s.revisions = static_cast<std::uint64_t>(q.integer(c++));
  s.packages = static_cast<std::uint64_t>(q.integer(c++));
  if (!q.is_null(c))
    s.bad = decode_bad(q.view(c));
  ++c;
  s.bad_count = static_cast<std::uint64_t>(q.integer(c++));
  s.basis.source = q.text(c++);
  if (!q.is_null(c))
    s.hold = decode_hold(q.view(c));
  return row;
}

std::vector<sync_run> read_runs(sqlite::connection& db, std::int64_t repository) {
  sqlite::query q{db, "SELECT sync_id, cause, started, duration_ms, ok, unchanged, error, cached_only, external_only, both, changed, bad, packages, "
                      "revisions, fetched_bytes, listing_ms, waiting_ms, fetch_ms, discovery_ms, apply_ms FROM runs WHERE repository = ?1 ORDER BY seq"};
  q.bind(repository);
  std::vector<sync_run> runs;
  while (q.step()) {
    const auto count = [&](int column) { return static_cast<std::uint64_t>(q.integer(column)); };
    auto& run = runs.emplace_back();
    run.sync_id = q.text(0);
    run.cause = static_cast<sync_cause>(q.integer(1));
    run.started = to_wall_time(q.integer(2));
    run.duration = std::chrono::milliseconds{q.integer(3)};
    run.ok = q.integer(4) != 0;
    run.unchanged = q.integer(5) != 0;
    run.error = q.text(6);
    run.stats = {count(7), count(8), count(9), count(10), count(11), count(12), count(13), count(14)};
    const auto time = [&](int column) { return std::chrono::milliseconds{q.integer(column)}; };
    run.phases = {time(15), time(16), time(17), time(18), time(19)};
  }
  return runs;
}

/// How many of the stored runs, oldest first, are to go so that `wanted` begins with the rest.
std::size_t surplus(const std::vector<sync_run>& stored, const std::vector<sync_run>& wanted) {
  std::size_t gone = stored.size() - std::min(stored.size(), wanted.size());
  while (!std::equal(stored.begin() + static_cast<std::ptrdiff_t>(gone), stored.end(), wanted.begin()))
    ++gone;
  return gone;
}

/// Removes the runs that are no longer wanted and adds the new ones; what stays is not written.
void write_runs(sqlite::connection& db, std::int64_t repository, const std::vector<sync_run>& stored, const std::vector<sync_run>& wanted) {
  const auto gone = surplus(stored, wanted);
  sqlite::query last{db, "SELECT coalesce(max(seq), -1) FROM runs WHERE repository = ?1"};
  last.bind(repository).step();
  auto seq = last.integer(0);
  sqlite::query{db, "DELETE FROM runs WHERE repository = ?1 AND seq IN (SELECT seq FROM runs WHERE repository = ?1 ORDER BY seq LIMIT ?2)"}
      .bind(repository, gone)
      .run();
  sqlite::query q{db, "INSERT INTO runs(repository, seq, sync_id, cause, started, duration_ms, ok, unchanged, error, cached_only, external_only, both, "
                      "changed, bad, packages, revisions, fetched_bytes, listing_ms, waiting_ms, fetch_ms, discovery_ms, apply_ms) "
                      "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"};
  const auto column = [](std::chrono::milliseconds time) { return static_cast<std::int64_t>(time.count()); };
  for (const auto& run : std::span{wanted}.subspan(stored.size() - gone)) {
    const auto& s = run.stats;
    const auto& p = run.phases;
    q.again().bind(repository, ++seq, run.sync_id, static_cast<int>(run.cause), to_column(run.started), static_cast<std::int64_t>(run.duration.count()), run.ok,
                   run.unchanged, run.error, s.cached_only, s.external_only, s.both, s.changed, s.bad, s.packages, s.revisions, s.fetched_bytes, column(p.listing),
                   column(p.waiting), column(p.fetch), column(p.discovery), column(p.apply));
    q.run();
  }
}

} // namespace

std::string encode_bad(const std::vector<bad_item>& bad) {
  auto j = json::array();
  for (const auto& item : bad)
    j.push_back(json::array({item.what, item.reason, item.excluded}));
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::vector<bad_item> decode_bad(std::string_view text) {
  const auto j = json::parse(text, nullptr, false);
  if (!j.is_array())
    throw sqlite::error{{ec::corrupt_cache, "a stored list of bad items is damaged", {}, {}, {}}};
  std::vector<bad_item> bad;
  for (const auto& item : j)
    bad.push_back({item.at(0), item.at(1), item.at(2)});
  return bad;
}

std::string encode_hold(const deletion_hold& hold) {
  return json::array({hold.count, hold.total, hold.base, hold.permit, hold.cause, to_column(hold.since), to_column(hold.agreed)})
    .dump(-1, ' ', false, json::error_handler_t::replace);
}

deletion_hold decode_hold(std::string_view text) {
  const auto j = json::parse(text, nullptr, false);
  const auto number = [&](std::size_t i) { return j[i].is_number_integer(); };
  const auto amount = [&](std::size_t i) { return j[i].is_number_unsigned(); };
  if (!j.is_array() || j.size() != 7 || !amount(0) || !amount(1) || !amount(2) || !j[3].is_string() || !j[4].is_string() || !number(5) || !number(6))
    throw sqlite::error{{ec::corrupt_cache, "a stored deletion hold is damaged", {}, {}, {}}};
  return {j[0], j[1], j[2], j[3], j[4], to_wall_time(j[5].get<std::int64_t>()), to_wall_time(j[6].get<std::int64_t>())};
}

std::optional<repository_row> read_repository(sqlite::connection& db, const std::string& uid) {
  static const std::string sql = std::string{select_repository} + "WHERE uid = ?1";
  sqlite::query q{db, sql};
  q.bind(uid);
  if (!q.step())
    return std::nullopt;
  auto row = read_row(q);
  row.state.runs = read_runs(db, row.id);
  return row;
}

std::vector<durable_state> read_states(sqlite::connection& db) {
  static const std::string sql = std::string{select_repository} + "ORDER BY ns, name";
  sqlite::query q{db, sql};
  std::vector<durable_state> states;
  while (q.step()) {
    auto row = read_row(q);
    row.state.runs = read_runs(db, row.id);
    states.push_back(std::move(row.state));
  }
  return states;
}

bool write_state(sqlite::connection& db, const repository_row& stored, const durable_state& next, const oid& branch_commit) {
  durable_state wanted = next;
  wanted.key = stored.state.key;
  wanted.uid = stored.state.uid;
  wanted.fence = stored.state.fence;
  if (wanted.runs.size() > runs_kept)
    wanted.runs.erase(wanted.runs.begin(), wanted.runs.end() - runs_kept);
  if (wanted == stored.state && branch_commit == stored.branch_commit)
    return false;
  sqlite::query q{db, "UPDATE repositories SET branch_commit = ?2, basis_digest = ?3, basis_commit = ?4, accepted_run_once = ?5, consumed_run_once = ?6, "
                      "handled_request = ?7, last_success = ?8, last_error = ?9, last_error_code = ?10, next_sync = ?11, revisions = ?12, packages = ?13, "
                      "bad = ?14, bad_count = ?15, basis_source = ?16, deletion_hold = ?17 WHERE id = ?1"};
  const auto commit = branch_commit.is_zero() ? std::nullopt : std::optional{sqlite::blob{bytes_of(branch_commit.bytes)}};
  const auto code = wanted.last_error_code ? std::optional{std::string{to_string(*wanted.last_error_code)}} : std::nullopt;
  q.bind(stored.id, commit, wanted.basis.digest, wanted.basis.commit, to_column(wanted.accepted_run_once), to_column(wanted.consumed_run_once),
         wanted.handled_request, to_column(wanted.last_success), wanted.last_error, code, to_column(wanted.next_sync), wanted.revisions, wanted.packages,
         wanted.bad.empty() ? std::nullopt : std::optional{encode_bad(wanted.bad)}, wanted.bad_count, wanted.basis.source,
         wanted.hold ? std::optional{encode_hold(*wanted.hold)} : std::nullopt);
  q.run();
  if (wanted.runs != stored.state.runs)
    write_runs(db, stored.id, stored.state.runs, wanted.runs);
  return true;
}

} // namespace veranda::store
