#include "adapters/store/sqlite.hpp"

#include <string>

namespace veranda::store::sqlite {
namespace {

int version_of(connection& db) { return static_cast<int>(db.integer("PRAGMA user_version")); }

[[noreturn]] void refuse(connection& db, std::string what) {
  db.keep_log_on_close();
  throw error{{ec::unsupported, std::move(what), db.file().string(), {}, {}}};
}

/// Reads only. Answers the file's version; 0 for an empty file.
int check_identity(connection& db, const schema& s) {
  const auto version = version_of(db);
  const auto id = db.integer("PRAGMA application_id");
  const bool empty = db.integer("SELECT count(*) FROM sqlite_master") == 0;
  if (empty && version == 0 && id == 0)
    return 0;
  if (id != s.application_id)
    refuse(db, "the file is a database of another program, not a " + std::string{s.what} + " of Veranda");
  const auto known = static_cast<int>(s.steps.size());
  if (version > known)
    refuse(db, "the " + std::string{s.what} + " was written by a newer Veranda: its schema is " + std::to_string(version) +
                   ", this program knows schemas up to " + std::to_string(known));
  if (version < 1)
    throw error{{ec::corrupt_cache, "the file has no schema number", db.file().string(), {}, {}}};
  return version;
}

void migrate(connection& db, const schema& s, int from) {
  transaction tx{db, true};
  for (auto n = static_cast<std::size_t>(from); n < s.steps.size(); ++n) {
    db.execute(s.steps[n]);
    if (s.migrated_to)
      s.migrated_to(db, static_cast<int>(n) + 1);
  }
  db.execute(("PRAGMA application_id = " + std::to_string(s.application_id)).c_str());
  db.execute(("PRAGMA user_version = " + std::to_string(s.steps.size())).c_str());
  tx.commit();
}

} // namespace

std::unique_ptr<connection> open_for_writing(const std::filesystem::path& file, const schema& s) {
  auto db = std::make_unique<connection>(file, access::read_write);
  const int version = check_identity(*db, s);
  if (version == 0)
    db->execute(("PRAGMA page_size = " + std::to_string(s.page_size)).c_str());
  // A commit is in the log file, handed to the kernel: the death of this process loses nothing. Unless the schema is durable, the log is forced to
  // disk at checkpoints only, so a power cut may lose the last transactions, whole ones and never part of one. That is for caches: what is
  // lost is re-made by the next sync, because the basis that says "in step" went with it.
  db->execute(s.durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
  db->execute("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
              "PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 33554432");
  db->execute(s.durable ? "PRAGMA cache_size = -2048" : "PRAGMA cache_size = -8192"); // objects are few and small, contents are neither
  if (static_cast<std::size_t>(version) < s.steps.size())
    migrate(*db, s, version);
  return db;
}

std::unique_ptr<connection> open_for_reading(const std::filesystem::path& file, const schema& s) {
  auto db = std::make_unique<connection>(file, access::read_only);
  const int version = check_identity(*db, s);
  if (static_cast<std::size_t>(version) != s.steps.size())
    throw error{{ec::unavailable, "the " + std::string{s.what} + " has not been prepared by its writer yet", file.string(), {}, {}}};
  db->execute("PRAGMA query_only = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2048");
  return db;
}

} // namespace veranda::store::sqlite
