#include "adapters/store/revision_rows.hpp"

#include "adapters/store/content_rows.hpp"

#include <nlohmann/json.hpp>

#include <cstring>

namespace veranda::store {
namespace {

using nlohmann::json;

json encode_lock(const git_lock& lock) { return json::array({lock.repo, lock.directory, lock.ref, lock.commit}); }
git_lock decode_lock(const json& j) { return {j.at(0), j.at(1), j.at(2), j.at(3)}; }

template <class E>
E checked_enum(std::int64_t value, E last) {
  if (value < 0 || value > static_cast<std::int64_t>(last))
    throw sqlite::error{{ec::corrupt_cache, "a stored package revision is damaged", {}, {}, {}}};
  return static_cast<E>(value);
}

oid read_oid(std::string_view bytes) {
  oid id;
  if (bytes.size() == id.bytes.size())
    std::memcpy(id.bytes.data(), bytes.data(), bytes.size());
  return id;
}

// What a current row takes from its repository when it becomes history.
constexpr std::string_view frozen_commit = "CASE WHEN from_branch AND p.branch_commit IS NOT NULL THEN p.branch_commit ELSE commit_id END";
constexpr std::string_view copied = "path, package, revision, workspace, uid, lifecycle, latest, from_branch, ref, tree, lock_repo, lock_directory, lock_ref, "
                                    "lock_commit, published_by, published_at, task, kptfile, digest, created";

std::string append_deleted(std::string_view condition) {
  std::string columns{copied};
  std::string selected = "r." + columns;
  for (std::size_t at = 0; (at = selected.find(", ", at)) != std::string::npos; at += 4)
    selected.insert(at + 2, "r.");
  return "INSERT INTO revisions(event, repository_name, deployment, ns, name, commit_id, " + columns + ") SELECT 2, p.name, p.deployment, r.ns, r.name, " +
         std::string{frozen_commit} + ", " + selected + " FROM revisions r JOIN repositories p ON p.id = r.repository WHERE r.repository = ?1" +
         std::string{condition} + " ORDER BY r.name";
}

std::string retire(std::string_view condition) {
  return "UPDATE revisions SET repository = NULL, repository_name = p.name, deployment = p.deployment, commit_id = " + std::string{frozen_commit} +
         " FROM repositories p WHERE p.id = ?1 AND revisions.repository = ?1" + std::string{condition};
}

} // namespace

std::int64_t to_column(wall_time t) noexcept { return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count(); }
std::optional<std::int64_t> to_column(const std::optional<wall_time>& t) noexcept {
  return t ? std::optional{to_column(*t)} : std::nullopt;
}
wall_time to_wall_time(std::int64_t column) noexcept {
  return wall_time{std::chrono::duration_cast<wall_time::duration>(std::chrono::nanoseconds{column})};
}

std::optional<std::string> encode_kptfile(const kptfile_facts& facts) {
  if (facts == kptfile_facts{})
    return std::nullopt;
  json j = json::object();
  if (!facts.problem.empty())
    j["problem"] = facts.problem;
  if (facts.upstream_lock)
    j["lock"] = encode_lock(*facts.upstream_lock);
  if (!facts.readiness_gates.empty())
    j["gates"] = facts.readiness_gates;
  for (const auto& c : facts.conditions)
    j["conditions"].push_back(json::array({c.type, c.status, c.reason, c.message}));
  if (!facts.labels.empty())
    j["labels"] = facts.labels;
  if (!facts.annotations.empty())
    j["annotations"] = facts.annotations;
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

kptfile_facts decode_kptfile(std::string_view text) {
  const auto j = json::parse(text, nullptr, false);
  if (!j.is_object())
    throw sqlite::error{{ec::corrupt_cache, "stored Kptfile facts are damaged", {}, {}, {}}};
  kptfile_facts facts;
  facts.problem = j.value("problem", "");
  if (const auto lock = j.find("lock"); lock != j.end())
    facts.upstream_lock = decode_lock(*lock);
  facts.readiness_gates = j.value("gates", std::vector<std::string>{});
  if (const auto conditions = j.find("conditions"); conditions != j.end())
    for (const auto& c : *conditions)
      facts.conditions.push_back({c.at(0), c.at(1), c.at(2), c.at(3)});
  facts.labels = j.value("labels", std::map<std::string, std::string>{});
  facts.annotations = j.value("annotations", std::map<std::string, std::string>{});
  return facts;
}

const std::string select_revision =
    "SELECT r.position, r.event, r.ns, coalesce(r.repository_name, p.name, ''), coalesce(r.deployment, p.deployment, 0), r.name, r.path, r.package, "
    "r.revision, r.workspace, r.uid, r.lifecycle, r.latest, r.from_branch, r.ref, "
    "CASE WHEN r.from_branch AND p.branch_commit IS NOT NULL THEN p.branch_commit ELSE r.commit_id END, "
    "r.tree, r.lock_repo, r.lock_directory, r.lock_ref, r.lock_commit, r.published_by, r.published_at, r.task, r.kptfile, r.created, coalesce(p.uid, '') "
    "FROM revisions r LEFT JOIN repositories p ON p.id = r.repository ";

feed_entry read_revision(const sqlite::query& q) {
  int c = 0;
  feed_entry entry;
  entry.position = q.integer(c++);
  entry.event = checked_enum(q.integer(c++), feed_event::deleted);
  auto& object = entry.object;
  auto& r = object.revision;
  object.resource_version = std::to_string(entry.position);
  object.repository.ns = q.text(c++);
  object.repository.name = q.text(c++);
  object.deployment = q.integer(c++) != 0;
  r.name = q.text(c++);
  r.key.path = q.text(c++);
  r.key.package = q.text(c++);
  r.key.revision = q.integer(c++);
  r.key.workspace = q.text(c++);
  r.uid = q.text(c++);
  r.lifecycle = checked_enum(q.integer(c++), lifecycle::deletion_proposed);
  r.latest = q.integer(c++) != 0;
  r.from_branch = q.integer(c++) != 0;
  r.ref = q.text(c++);
  r.commit = read_oid(q.view(c++));
  r.tree = from_digest_key(q.view(c++));
  r.self_lock.repo = q.text(c++);
  r.self_lock.directory = q.text(c++);
  r.self_lock.ref = q.text(c++);
  r.self_lock.commit = q.is_null(c) ? r.commit.hex() : q.text(c);
  ++c;
  r.published_by = q.text(c++);
  if (!q.is_null(c))
    r.published_at = to_wall_time(q.integer(c));
  ++c;
  r.task_json = q.text(c++);
  if (!q.is_null(c))
    r.kptfile = decode_kptfile(q.view(c));
  ++c;
  object.created = to_wall_time(q.integer(c));
  return entry;
}

std::string repository_uid(const sqlite::query& q) { return q.text(26); } // the last column

std::int64_t insert_revision(sqlite::connection& db, std::int64_t repository, const std::string& ns, const package_revision& r, const sha256_digest& digest,
                             feed_event event, wall_time created) {
  sqlite::query q{db, "INSERT INTO revisions(event, repository, ns, name, path, package, revision, workspace, uid, lifecycle, latest, from_branch, ref, "
                      "commit_id, tree, lock_repo, lock_directory, lock_ref, lock_commit, published_by, published_at, task, kptfile, digest, created) "
                      "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"};
  const auto lock_commit = r.self_lock.commit == r.commit.hex() ? std::nullopt : std::optional{r.self_lock.commit};
  q.bind(static_cast<int>(event), repository, ns, r.name, r.key.path, r.key.package, r.key.revision, r.key.workspace, r.uid, static_cast<int>(r.lifecycle),
         r.latest, r.from_branch, r.ref, sqlite::blob{bytes_of(r.commit.bytes)}, sqlite::blob{digest_key(r.tree)}, r.self_lock.repo, r.self_lock.directory,
         r.self_lock.ref, lock_commit, r.published_by, to_column(r.published_at), r.task_json, encode_kptfile(r.kptfile), sqlite::blob{bytes_of(digest)},
         to_column(created));
  q.run();
  return db.last_insert_id();
}

void retire_revision(sqlite::connection& db, std::int64_t repository, std::int64_t position, std::int64_t feed_floor) {
  if (position <= feed_floor) {
    sqlite::query{db, "DELETE FROM revisions WHERE position = ?1"}.bind(position).run();
    return;
  }
  static const std::string sql = retire(" AND revisions.position = ?2");
  sqlite::query{db, sql}.bind(repository, position).run();
}

void touch_revision(sqlite::connection& db, std::int64_t repository, std::int64_t position, std::int64_t feed_floor) {
  static const std::string copy = "INSERT INTO revisions(event, ns, name, commit_id, " + std::string{copied} + ") SELECT 1, ns, name, commit_id, " +
                                  std::string{copied} + " FROM revisions WHERE position = ?1";
  sqlite::query{db, copy}.bind(position).run();
  const auto next = db.last_insert_id();
  retire_revision(db, repository, position, feed_floor); // a name has one current row
  sqlite::query{db, "UPDATE revisions SET repository = ?2 WHERE position = ?1"}.bind(next, repository).run();
}

void delete_revision(sqlite::connection& db, std::int64_t repository, std::int64_t position, std::int64_t feed_floor) {
  static const std::string sql = append_deleted(" AND r.position = ?2");
  sqlite::query{db, sql}.bind(repository, position).run();
  retire_revision(db, repository, position, feed_floor);
}

void delete_revisions(sqlite::connection& db, std::int64_t repository, std::int64_t feed_floor) {
  static const std::string append = append_deleted("");
  static const std::string keep = retire("");
  sqlite::query{db, append}.bind(repository).run();
  sqlite::query{db, "DELETE FROM revisions WHERE repository = ?1 AND position <= ?2"}.bind(repository, feed_floor).run();
  sqlite::query{db, keep}.bind(repository).run();
}

} // namespace veranda::store
