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
