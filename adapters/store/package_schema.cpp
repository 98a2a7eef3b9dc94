#include "adapters/store/package_schema.hpp"

#include "adapters/store/loss_rows.hpp"

namespace veranda::store {
namespace {

// contents    One row per blob, whatever the number of packages that hold it. `digest` is one byte for the algorithm (1 = git's SHA-1) and
//             the digest's bytes.
// trees       The files of a package by the id of its git tree; `files` is the list of `content_rows.cpp`.
// losses      Trees that are not stored as a whole: how many files are left out or without their bytes, the first of them by name, and the
//             size of the smallest that was too large (NULL: none was), so that it is known when a higher limit has a use.
// revisions   Package revisions *and* change feed: every row is the state that an event led to, its position the event's. The row whose
//             `repository` is set is the current state of its name; a later event clears `repository` and freezes what had been taken
//             from the repository's row (its name, the deployment flag, the branch tip as commit). So a state is written once, and
//             rows at or below `feed_floor` exist only while they are current.
//             `lock_commit` is NULL when it equals `commit_id`.
// condemned_* Found without references at a time; they go when they still are so later, and count as missing until then, so that
//             whoever needs one streams it again (which pardons it).
// repositories  `basis_source` names where packages were looked for in the last sync (empty: a file of version 2 did not know), `deletion_hold` is
//             the removals that wait for a permit, as `state_rows.cpp` writes them (NULL: none).
// Positions and fences start at the time the file is made: what a client or a status remembers of a file that was lost is then in the
// past of the new one and is never mistaken for its own.
constexpr const char* version_1 = R"sql(
CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE repositories(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  ns TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL UNIQUE,
  fence INTEGER NOT NULL, epoch INTEGER NOT NULL,
  type INTEGER NOT NULL DEFAULT 0, deployment INTEGER NOT NULL DEFAULT 0,
  branch TEXT NOT NULL DEFAULT '', directory TEXT NOT NULL DEFAULT '',
  branch_commit BLOB,
  basis_digest TEXT NOT NULL DEFAULT '', basis_commit TEXT NOT NULL DEFAULT '',
  accepted_run_once INTEGER, consumed_run_once INTEGER, handled_request TEXT NOT NULL DEFAULT '',
  last_success INTEGER, last_error TEXT NOT NULL DEFAULT '', last_error_code TEXT,
  next_sync INTEGER,
  revisions INTEGER NOT NULL DEFAULT 0, packages INTEGER NOT NULL DEFAULT 0,
  bad TEXT, bad_count INTEGER NOT NULL DEFAULT 0,
  UNIQUE(ns, name));

CREATE TABLE runs(
  repository INTEGER NOT NULL REFERENCES repositories(id) ON DELETE CASCADE, seq INTEGER NOT NULL,
  sync_id TEXT NOT NULL, cause INTEGER NOT NULL, started INTEGER NOT NULL, duration_ms INTEGER NOT NULL,
  ok INTEGER NOT NULL, unchanged INTEGER NOT NULL, error TEXT NOT NULL,
  cached_only INTEGER NOT NULL, external_only INTEGER NOT NULL, both INTEGER NOT NULL, changed INTEGER NOT NULL,
  bad INTEGER NOT NULL, packages INTEGER NOT NULL, revisions INTEGER NOT NULL, fetched_bytes INTEGER NOT NULL,
  PRIMARY KEY(repository, seq)) WITHOUT ROWID;

CREATE TABLE revisions(
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  event INTEGER NOT NULL,
  repository INTEGER REFERENCES repositories(id),
  repository_name TEXT, deployment INTEGER,
  ns TEXT NOT NULL, name TEXT NOT NULL,
  path TEXT NOT NULL, package TEXT NOT NULL, revision INTEGER NOT NULL, workspace TEXT NOT NULL,
  uid TEXT NOT NULL, lifecycle INTEGER NOT NULL, latest INTEGER NOT NULL, from_branch INTEGER NOT NULL,
  ref TEXT NOT NULL, commit_id BLOB NOT NULL, tree BLOB NOT NULL,
  lock_repo TEXT NOT NULL, lock_directory TEXT NOT NULL, lock_ref TEXT NOT NULL, lock_commit TEXT,
  published_by TEXT NOT NULL, published_at INTEGER, task TEXT NOT NULL, kptfile TEXT,
  digest BLOB NOT NULL, created INTEGER NOT NULL);
CREATE UNIQUE INDEX revisions_by_name ON revisions(ns, name) WHERE repository IS NOT NULL;
CREATE INDEX revisions_by_repository ON revisions(repository, path, package, name, digest) WHERE repository IS NOT NULL;
CREATE INDEX revisions_by_tree ON revisions(tree) WHERE repository IS NOT NULL;

CREATE TABLE trees(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, files BLOB NOT NULL);
CREATE TABLE contents(id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE condemned_trees(id INTEGER PRIMARY KEY, since INTEGER NOT NULL);
CREATE TABLE condemned_contents(id INTEGER PRIMARY KEY, since INTEGER NOT NULL);

INSERT INTO sqlite_sequence(name, seq) VALUES('revisions', unixepoch() << 16);
INSERT INTO counters(name, value) VALUES('feed_floor', unixepoch() << 16), ('fence', unixepoch());
UPDATE counters SET value = (SELECT seq FROM sqlite_sequence WHERE name = 'revisions') WHERE name = 'feed_floor';
)sql";

constexpr const char* version_2 = R"sql(
CREATE TABLE losses(
  tree INTEGER PRIMARY KEY REFERENCES trees(id) ON DELETE CASCADE,
  count INTEGER NOT NULL, fits_at INTEGER, first TEXT NOT NULL);
CREATE INDEX losses_by_size ON losses(fits_at) WHERE fits_at IS NOT NULL;
)sql";

constexpr const char* version_3 = R"sql(
ALTER TABLE repositories ADD COLUMN basis_source TEXT NOT NULL DEFAULT '';
ALTER TABLE repositories ADD COLUMN deletion_hold TEXT;
)sql";

constexpr const char* version_4 = R"sql(
ALTER TABLE runs ADD COLUMN listing_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN waiting_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN fetch_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN discovery_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN apply_ms INTEGER NOT NULL DEFAULT 0;
)sql";

constexpr const char* steps[] = {version_1, version_2, version_3, version_4};

void migrated_to(sqlite::connection& db, int version) {
  if (version == 2)
    derive_all_losses(db);
}

} // namespace

const sqlite::schema package_schema{0x56504331, "package cache", steps, 16384, false, migrated_to}; // "VPC1"; large pages hold contents of a few KiB with little waste

} // namespace veranda::store
