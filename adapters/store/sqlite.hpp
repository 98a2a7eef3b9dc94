#pragma once

#include "messages/model/failure.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

/// A thin layer over SQLite for the stores of this folder. Inside, errors travel as the exception `error`; `guarded` stands at every
/// public edge and turns them into a `failure`, so nothing is thrown to callers.
namespace veranda::store::sqlite {

/// Thrown inside the adapter only.
struct error {
  failure reason;
};

/// What a SQLite result code (primary or extended) asks for. Total: full, busy, I/O and unknown environmental codes are `unavailable`, damage is
/// `corrupt_cache`, oversized values `too_large`, and what only a mistake of ours can cause `internal`.
[[nodiscard]] ec classify(int code) noexcept;

/// Runs `f`; whatever it throws becomes a failure.
template <class F>
auto guarded(F&& f) noexcept -> result<std::invoke_result_t<F>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      f();
      return {};
    } else {
      return f();
    }
  } catch (const error& e) {
    return e.reason;
  } catch (const std::bad_alloc&) {
    return failure{ec::unavailable, "out of memory", {}, {}, {}};
  } catch (const std::exception& e) {
    return failure{ec::internal, e.what(), {}, {}, {}};
  }
}

/// Bytes bound as they are, copied by SQLite.
struct blob {
  std::string_view bytes;
};
/// Bytes that the caller keeps alive until the query ends; not copied.
struct borrowed_blob {
  std::string_view bytes;
};

class connection;

/// One use of a prepared statement. Binds run from the first parameter on; columns count from zero. Gives the statement back to its
/// connection when it ends.
class query {
public:
  query(connection& db, std::string_view sql);
  ~query();
  query(const query&) = delete;
  query& operator=(const query&) = delete;

  template <class... Args>
  query& bind(const Args&... args) {
    (bind_one(args), ...);
    return *this;
  }
  /// Binds parameter `n`; nothing happens when the statement has fewer.
  template <class T>
  query& bind_at(int n, const T& value) {
    if (n <= parameters()) {
      next_ = n;
      bind_one(value);
    }
    return *this;
  }
  /// To run the statement again with new values.
  query& again();
  /// True while there is a row.
  bool step();
  /// Runs to the end, ignoring rows.
  void run();

  [[nodiscard]] bool is_null(int column) const noexcept;
  [[nodiscard]] std::int64_t integer(int column) const noexcept;
  /// Valid until the next step.
  [[nodiscard]] std::string_view view(int column) const noexcept;
  [[nodiscard]] std::string text(int column) const { return std::string{view(column)}; }

private:
  void bind_one(std::int64_t v);
  void bind_one(std::uint64_t v) { bind_one(static_cast<std::int64_t>(v)); }
  void bind_one(int v) { bind_one(static_cast<std::int64_t>(v)); }
  void bind_one(bool v) { bind_one(static_cast<std::int64_t>(v)); }
  void bind_one(std::string_view v);
  void bind_one(const std::string& v) { bind_one(std::string_view{v}); }
  void bind_one(const char* v) { bind_one(std::string_view{v}); }
  void bind_one(blob v);
  void bind_one(borrowed_blob v);
  void bind_one(std::nullopt_t);
  template <class T>
  void bind_one(const std::optional<T>& v) {
    v ? bind_one(*v) : bind_one(std::nullopt);
  }
  void check(int code) const;
  [[nodiscard]] int parameters() const noexcept;

  connection& db_;
  sqlite3_stmt* statement_ = nullptr;
  std::string_view key_;
  int next_ = 1;
};

enum class access : std::uint8_t { read_only, read_write };

/// One database connection and its prepared statements. Used by one thread at a time.
class connection {
public:
  connection(const std::filesystem::path& file, access mode);
  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Runs several statements without parameters.
  void execute(const char* sql);
  /// First column of the first row of `sql`; 0 when there is none.
  [[nodiscard]] std::int64_t integer(std::string_view sql);
  /// Rows changed by the last statement.
  [[nodiscard]] std::int64_t changes() const noexcept;
  [[nodiscard]] std::int64_t last_insert_id() const noexcept;
  [[nodiscard]] bool in_transaction() const noexcept;
  /// Gives back what cached pages take; the system keeps the file's pages anyway.
  void release_memory() noexcept;
  /// Closing leaves the file exactly as it is, its log included.
  void keep_log_on_close() noexcept;
  [[nodiscard]] const std::filesystem::path& file() const noexcept { return file_; }
  [[noreturn]] void fail(int code) const;

private:
  friend class query;
  std::pair<std::string_view, sqlite3_stmt*> take(std::string_view sql);
  void give_back(std::string_view key, sqlite3_stmt* statement) noexcept;

  std::filesystem::path file_;
  sqlite3* db_ = nullptr;
  /// Idle statements by their text; a statement in use is not here (nullptr), so nested use of one text prepares a second one.
  std::map<std::string, sqlite3_stmt*, std::less<>> idle_;
};

/// Rolls back unless committed.
class transaction {
public:
  /// `immediate` takes the write lock at once; otherwise the transaction is a consistent read.
  transaction(connection& db, bool immediate);
  ~transaction();
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;
  void commit();

private:
  connection& db_;
  bool open_ = true;
};

/// What a file of ours is, and how older ones become current: `steps[n]` brings version n to n + 1, so all of them make a new file.
struct schema {
  std::int32_t application_id = 0;
  std::string_view what; ///< `package cache`, for sentences
  std::span<const char* const> steps;
  int page_size = 8192;
  bool durable = false; ///< a commit is on the disk when it returns, power cuts included
  /// What SQL alone cannot bring up to date: called after the step that made this version, in its transaction.
  void (*migrated_to)(connection& db, int version) = nullptr;
};

/// Opens for writing, creating or migrating in one transaction. A file of a newer version, or of another program, is `unsupported` and
/// stays untouched; a damaged one is `corrupt_cache`.
[[nodiscard]] std::unique_ptr<connection> open_for_writing(const std::filesystem::path& file, const schema& s);
/// Opens for reading; the file must be of the current version.
[[nodiscard]] std::unique_ptr<connection> open_for_reading(const std::filesystem::path& file, const schema& s);

} // namespace veranda::store::sqlite
