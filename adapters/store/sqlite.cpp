#include "adapters/store/sqlite.hpp"

#include <sqlite3.h>

#include <cstring>

namespace veranda::store::sqlite {
namespace {

std::string_view sentence(int code) noexcept {
  if (code == SQLITE_IOERR_SHMSIZE)
    return "the file cannot grow; is the disk full?";
  switch (code & 0xff) {
  case SQLITE_FULL: return "the disk is full";
  case SQLITE_IOERR: return "reading or writing the file failed";
  case SQLITE_BUSY:
  case SQLITE_LOCKED: return "another program holds the file locked";
  case SQLITE_READONLY: return "the file cannot be written";
  case SQLITE_CANTOPEN: return "the file cannot be opened";
  case SQLITE_PERM:
  case SQLITE_AUTH: return "access to the file is denied";
  case SQLITE_NOMEM: return "out of memory";
  case SQLITE_TOOBIG: return "a value is too large to be stored";
  case SQLITE_CORRUPT: return "the file is damaged";
  case SQLITE_NOTADB: return "the file is not a database, or is damaged";
  default: return "the database refused the operation";
  }
}

/// Damage and mistakes of ours need SQLite's own words to be understood; they name tables and columns, never values.
/// What the system said of a file says more than SQLite does.
std::string full_sentence(int code, sqlite3* db) {
  std::string text{sentence(code)};
  const auto what = classify(code);
  if (!db || (what != ec::internal && what != ec::corrupt_cache && what != ec::unavailable))
    return text;
  text.append(" (").append(sqlite3_errmsg(db));
  const int primary = code & 0xff;
  if (const int number = sqlite3_system_errno(db); number != 0 && (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN))
    text.append(": ").append(std::strerror(number));
  return text.append(")");
}

} // namespace

ec classify(int code) noexcept {
  switch (code & 0xff) {
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return ec::corrupt_cache;
  case SQLITE_TOOBIG: return ec::too_large;
  case SQLITE_ERROR:
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH:
  case SQLITE_MISUSE:
  case SQLITE_RANGE:
  case SQLITE_INTERNAL: return ec::internal;
  default: return ec::unavailable;
  }
}

query::query(connection& db, std::string_view sql) : db_(db) {
  const auto [key, statement] = db.take(sql);
  key_ = key;
  statement_ = statement;
}

query::~query() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  db_.give_back(key_, statement_);
}

query& query::again() {
  sqlite3_reset(statement_);
  next_ = 1;
  return *this;
}

bool query::step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW)
    return true;
  if (code != SQLITE_DONE)
    db_.fail(code);
  return false;
}

void query::run() {
  while (step()) {
  }
}

bool query::is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
std::int64_t query::integer(int column) const noexcept { return sqlite3_column_int64(statement_, column); }

std::string_view query::view(int column) const noexcept {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  const auto size = sqlite3_column_bytes(statement_, column);
  return data ? std::string_view{data, static_cast<std::size_t>(size)} : std::string_view{};
}

void query::check(int code) const {
  if (code != SQLITE_OK)
    db_.fail(code);
}

int query::parameters() const noexcept { return sqlite3_bind_parameter_count(statement_); }

void query::bind_one(std::int64_t v) { check(sqlite3_bind_int64(statement_, next_++, v)); }
void query::bind_one(std::nullopt_t) { check(sqlite3_bind_null(statement_, next_++)); }
void query::bind_one(std::string_view v) {
  check(sqlite3_bind_text64(statement_, next_++, v.data() ? v.data() : "", v.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}
void query::bind_one(blob v) {
  check(v.bytes.empty() ? sqlite3_bind_zeroblob(statement_, next_, 0)
                        : sqlite3_bind_blob64(statement_, next_, v.bytes.data(), v.bytes.size(), SQLITE_TRANSIENT));
  ++next_;
}
void query::bind_one(borrowed_blob v) {
  check(v.bytes.empty() ? sqlite3_bind_zeroblob(statement_, next_, 0)
                        : sqlite3_bind_blob64(statement_, next_, v.bytes.data(), v.bytes.size(), SQLITE_STATIC));
  ++next_;
}

connection::connection(const std::filesystem::path& file, access mode) : file_(file) {
  const int flags = (mode == access::read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE) | SQLITE_OPEN_NOMUTEX;
  const int code = sqlite3_open_v2(file.c_str(), &db_, flags, nullptr);
  if (code != SQLITE_OK) {
    failure reason{classify(code), full_sentence(code, db_), file.string(), {}, {}};
    sqlite3_close_v2(db_);
    throw error{std::move(reason)};
  }
  sqlite3_extended_result_codes(db_, 1);
  sqlite3_busy_timeout(db_, 5000);
}

connection::~connection() {
  for (auto& [sql, statement] : idle_)
    sqlite3_finalize(statement);
  sqlite3_close_v2(db_);
}

void connection::execute(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK)
    fail(code);
}

std::int64_t connection::integer(std::string_view sql) {
  query q{*this, sql};
  return q.step() ? q.integer(0) : 0;
}

std::int64_t connection::changes() const noexcept { return sqlite3_changes64(db_); }
std::int64_t connection::last_insert_id() const noexcept { return sqlite3_last_insert_rowid(db_); }
bool connection::in_transaction() const noexcept { return sqlite3_get_autocommit(db_) == 0; }
void connection::keep_log_on_close() noexcept { sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr); }

void connection::release_memory() noexcept { sqlite3_db_release_memory(db_); }

void connection::fail(int code) const {
  throw error{{classify(code), full_sentence(code, db_), file_.string(), {}, {}}};
}

std::pair<std::string_view, sqlite3_stmt*> connection::take(std::string_view sql) {
  auto entry = idle_.find(sql);
  if (entry == idle_.end())
    entry = idle_.emplace(std::string{sql}, nullptr).first;
  sqlite3_stmt* statement = std::exchange(entry->second, nullptr);
  if (!statement) {
    const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK)
      fail(code);
  }
  return {entry->first, statement};
}

void connection::give_back(std::string_view key, sqlite3_stmt* statement) noexcept {
  const auto entry = idle_.find(key);
  if (entry != idle_.end() && !entry->second)
    entry->second = statement;
  else
    sqlite3_finalize(statement);
}

transaction::transaction(connection& db, bool immediate) : db_(db) { db.execute(immediate ? "BEGIN IMMEDIATE" : "BEGIN"); }

transaction::~transaction() {
  // SQLite has already rolled back after some errors; a rollback that fails leaves nothing to do, the next BEGIN reports it.
  if (open_ && db_.in_transaction()) {
    try {
      db_.execute("ROLLBACK");
    } catch (const error&) { // NOLINT(bugprone-empty-catch)
    }
  }
}

void transaction::commit() {
  db_.execute("COMMIT");
  open_ = false;
}

} // namespace veranda::store::sqlite
