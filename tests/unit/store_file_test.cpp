// links: veranda_adapter_store
#define BOOST_TEST_MODULE store_file
#include "adapters/store/data_dir.hpp"
#include "adapters/store/object_schema.hpp"
#include "adapters/store/package_schema.hpp"
#include "adapters/store/sqlite.hpp"
#include "adapters/store/sqlite_object_store.hpp"
#include "tests/support/store_fixture.hpp"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace veranda;
using namespace veranda::store;
using namespace veranda::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* make_first = "CREATE TABLE words(word TEXT)";
constexpr const char* add_length = "ALTER TABLE words ADD COLUMN length INTEGER; UPDATE words SET length = length(word)";
constexpr const char* add_index = "CREATE INDEX words_by_length ON words(length)";
constexpr const char* broken = "CREATE TABLE half(x); CREATE TABLE words(again TEXT)";
constexpr const char* first_only[] = {make_first};
constexpr const char* three[] = {make_first, add_length, add_index};
constexpr const char* with_broken[] = {make_first, broken};

sqlite::schema schema_of(std::span<const char* const> steps, std::int32_t id = 77) { return {id, "word list", steps, 4096}; }

template <class F>
failure failure_of(F&& f) {
  const auto outcome = sqlite::guarded([&] { f(); });
  return outcome ? failure{} : outcome.error();
}

fs::perms mode_of(const fs::path& p) { return fs::symlink_status(p).permissions(); }

} // namespace

BOOST_AUTO_TEST_CASE(library_codes_have_a_class) {
  const std::pair<int, ec> table[] = {
      {SQLITE_FULL, ec::unavailable},         {SQLITE_IOERR, ec::unavailable},  {SQLITE_IOERR_FSYNC, ec::unavailable}, {SQLITE_BUSY, ec::unavailable},
      {SQLITE_BUSY_SNAPSHOT, ec::unavailable}, {SQLITE_LOCKED, ec::unavailable}, {SQLITE_READONLY, ec::unavailable},    {SQLITE_CANTOPEN, ec::unavailable},
      {SQLITE_PERM, ec::unavailable},         {SQLITE_NOMEM, ec::unavailable},  {SQLITE_PROTOCOL, ec::unavailable},    {250, ec::unavailable},
      {SQLITE_CORRUPT, ec::corrupt_cache},    {SQLITE_CORRUPT_INDEX, ec::corrupt_cache}, {SQLITE_NOTADB, ec::corrupt_cache}, {SQLITE_TOOBIG, ec::too_large},
      {SQLITE_CONSTRAINT_UNIQUE, ec::internal}, {SQLITE_MISUSE, ec::internal},  {SQLITE_RANGE, ec::internal},          {SQLITE_ERROR, ec::internal}};
  for (const auto& [number, wanted] : table)
    BOOST_TEST(to_string(sqlite::classify(number)) == to_string(wanted), "code " << number);
}

BOOST_AUTO_TEST_CASE(a_full_database_says_so_and_heals) {
  scratch_directory scratch;
  auto db = sqlite::open_for_writing(scratch / "f", schema_of(first_only));
  BOOST_TEST(db->integer("PRAGMA max_page_count = 4") == 4);
  const std::string word(50'000, 'w');
  const auto insert = [&] { sqlite::query{*db, "INSERT INTO words VALUES(?1)"}.bind(word).run(); };
  const auto refused = failure_of(insert);
  BOOST_TEST(to_string(refused.code) == "unavailable");
  BOOST_TEST(refused.what.substr(0, 16) == "the disk is full");
  BOOST_TEST(db->integer("PRAGMA max_page_count = 1000") == 1000);
  insert();
  BOOST_TEST(db->integer("SELECT count(*) FROM words") == 1);
}

BOOST_AUTO_TEST_CASE(an_older_file_is_migrated_with_what_it_holds) {
  scratch_directory scratch;
  sqlite::open_for_writing(scratch / "f", schema_of(first_only))->execute("INSERT INTO words VALUES('veranda')");
  BOOST_CHECK(failure_of([&] { (void)sqlite::open_for_reading(scratch / "f", schema_of(three)); }).code == ec::unavailable);
  const auto db = sqlite::open_for_writing(scratch / "f", schema_of(three));
  BOOST_TEST(db->integer("PRAGMA user_version") == 3);
  BOOST_TEST(db->integer("SELECT length FROM words WHERE word = 'veranda'") == 7);
  BOOST_TEST(sqlite::open_for_reading(scratch / "f", schema_of(three))->integer("SELECT count(*) FROM words") == 1);
}

BOOST_AUTO_TEST_CASE(a_migration_that_fails_leaves_the_older_file) {
  scratch_directory scratch;
  sqlite::open_for_writing(scratch / "f", schema_of(first_only))->execute("INSERT INTO words VALUES('veranda')");
  BOOST_CHECK(failure_of([&] { (void)sqlite::open_for_writing(scratch / "f", schema_of(with_broken)); }).code == ec::internal);
  const auto db = sqlite::open_for_writing(scratch / "f", schema_of(first_only));
  BOOST_TEST(db->integer("SELECT count(*) FROM words") == 1);
  BOOST_TEST(db->integer("SELECT count(*) FROM sqlite_master WHERE name = 'half'") == 0);
}

BOOST_AUTO_TEST_CASE(a_newer_or_foreign_file_is_refused_untouched) {
  scratch_directory scratch;
  const auto file = scratch / "f";
  sqlite::open_for_writing(file, schema_of(three))->execute("INSERT INTO words VALUES('veranda', 7)");
  const auto before = bytes_in(file);
  const auto newer = failure_of([&] { (void)sqlite::open_for_writing(file, schema_of(first_only)); });
  BOOST_CHECK(newer.code == ec::unsupported);
  BOOST_TEST(newer.what == "the word list was written by a newer Veranda: its schema is 3, this program knows schemas up to 1");
  BOOST_CHECK(failure_of([&] { (void)sqlite::open_for_reading(file, schema_of(first_only)); }).code == ec::unsupported);
  BOOST_CHECK(failure_of([&] { (void)sqlite::open_for_writing(file, schema_of(three, 78)); }).code == ec::unsupported);
  BOOST_TEST(code(open_package_cache(file, [] { return wall_time{}; })) == "unsupported");
  BOOST_TEST(code(open_object_store(file, [] { return wall_time{}; })) == "unsupported");
  BOOST_CHECK(bytes_in(file) == before);
}

BOOST_AUTO_TEST_CASE(a_damaged_file_is_recognised_moved_aside_and_replaced) {
  scratch_directory scratch;
  const auto file = scratch / "packages.db";
  const auto now = [] { return wall_time{std::chrono::seconds{1'773'137'250}}; };
  for (const bool at_the_start : {true, false}) {
    {
      auto cache = value(open_package_cache(file, now));
      for (std::uint64_t n = 1; n <= 200; ++n)
        value(cache->put_contents(files_of(n)));
    }
    const auto size = fs::file_size(file);
    std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
    out.seekp(at_the_start ? 0 : 16384); // the header, or every page but the first
    out << std::string(at_the_start ? 100 : size - 16384, '\x5a');
    out.close();
    auto cache = open_package_cache(file, now);
    BOOST_TEST(code(cache) == "corrupt_cache");
    cache = failure{};
    const auto aside = value(move_aside(file, now()));
    BOOST_TEST(aside.filename() == (at_the_start ? "packages.db.damaged-2026-03-10T100730Z" : "packages.db.damaged-2026-03-10T100730Z-1"));
    BOOST_TEST(fs::file_size(aside) == size);
    BOOST_TEST(!fs::exists(file));
    BOOST_TEST(code(open_package_cache(file, now)) == "ok");
  }
}

BOOST_AUTO_TEST_CASE(damage_found_later_is_an_answer_too) {
  scratch_directory scratch;
  const auto file = scratch / "objects.db";
  const auto now = [] { return wall_time{}; };
  {
    auto store = value(open_object_store(file, now));
    for (int n = 0; n < 100; ++n)
      value(store->create("r", R"({"apiVersion":"v1","kind":"K","metadata":{"name":"n)" + std::to_string(n) + "\"}}"));
  }
  std::int64_t page = 0;
  {
    sqlite::connection db{file, sqlite::access::read_only};
    page = db.integer("SELECT rootpage FROM sqlite_master WHERE name = 'objects'");
  }
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp((page - 1) * 4096);
  out << std::string(4096, '\x5a');
  out.close();
  auto store = value(open_object_store(file, now));
  BOOST_TEST(code(value(open_object_store_reader(file))->list("r", "")) == "corrupt_cache");
  BOOST_TEST(code(store->remove("r", {"", "n1"})) == "corrupt_cache");
}

BOOST_AUTO_TEST_CASE(damage_that_opening_does_not_see_is_found_by_a_check) {
  scratch_directory scratch;
  const auto file = scratch / "packages.db";
  const auto now = [] { return wall_time{}; };
  {
    auto cache = value(open_package_cache(file, now));
    for (std::uint64_t n = 1; n <= 200; ++n)
      value(cache->put_contents(files_of(n)));
    BOOST_TEST(code(cache->check()) == "ok");
  }
  std::int64_t page = 0;
  {
    sqlite::connection db{file, sqlite::access::read_only};
    page = db.integer("SELECT rootpage FROM sqlite_master WHERE name = 'contents'");
  }
  std::fstream out{file, std::ios::in | std::ios::out | std::ios::binary};
  out.seekp((page - 1) * package_schema.page_size);
  out << std::string(static_cast<std::size_t>(package_schema.page_size), '\x5a');
  out.close();
  auto cache = value(open_package_cache(file, now));
  BOOST_TEST(code(cache->check()) == "corrupt_cache");
}

BOOST_AUTO_TEST_CASE(objects_are_on_the_disk_when_they_are_answered) {
  scratch_directory scratch;
  constexpr int normal = 1, full = 2; // SQLite's numbers
  const auto level = [&](const char* name, const sqlite::schema& s) { return sqlite::open_for_writing(scratch / name, s)->integer("PRAGMA synchronous"); };
  BOOST_TEST(level("o", object_schema) == full);
  BOOST_TEST(level("p", package_schema) == normal);
}

BOOST_AUTO_TEST_CASE(the_data_directory_belongs_to_one_process) {
  scratch_directory scratch;
  const auto dir = scratch / "data";
  auto lock = value(data_dir_lock::acquire(dir));
  BOOST_CHECK(mode_of(dir) == fs::perms::owner_all);
  const auto child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const auto second = data_dir_lock::acquire(dir);
    const bool right = !second && second.error().code == ec::conflict &&
                       second.error().what == "the data directory is in use by process " + std::to_string(::getppid());
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  BOOST_TEST(status == 0);
  BOOST_TEST(code(data_dir_lock::acquire(dir)) == "conflict");
  lock.reset();
  BOOST_TEST(code(data_dir_lock::acquire(dir)) == "ok");
}

BOOST_AUTO_TEST_CASE(a_data_directory_that_goes_is_noticed) {
  scratch_directory scratch;
  const auto dir = scratch / "data";
  const auto lock = value(data_dir_lock::acquire(dir));
  BOOST_TEST(lock->in_place());
  fs::rename(dir, scratch / "elsewhere");
  BOOST_TEST(!lock->in_place());
  const auto second = value(data_dir_lock::acquire(dir));
  BOOST_TEST(!lock->in_place(), "another one is there");
  BOOST_TEST(second->in_place());
  fs::remove_all(dir);
  BOOST_TEST(!second->in_place());
  fs::rename(scratch / "elsewhere", dir);
  BOOST_TEST(lock->in_place());
}

BOOST_AUTO_TEST_CASE(an_unsafe_data_directory_is_refused) {
  scratch_directory scratch;
  fs::create_directory(scratch / "real");
  fs::create_directory_symlink(scratch / "real", scratch / "link");
  fs::create_directory(scratch / "open");
  fs::permissions(scratch / "open", fs::perms::all);
  std::ofstream{scratch / "file"} << "x";
  for (const char* name : {"link", "link/", "open", "file"})
    BOOST_TEST(code(data_dir_lock::acquire(scratch / name)) == "invalid_spec", name);
  BOOST_TEST(code(data_dir_lock::acquire(scratch / "file/below")) == "unavailable");
  BOOST_TEST(code(data_dir_lock::acquire(scratch / "new/below")) == "ok");
}

BOOST_AUTO_TEST_CASE(secrets_are_made_once_and_for_the_owner_alone) {
  scratch_directory scratch;
  const auto lock = value(data_dir_lock::acquire(scratch / "data"));
  const auto token = value(lock->api_token());
  BOOST_TEST(token.size() == 64U);
  BOOST_TEST(token.find_first_not_of("0123456789abcdef") == std::string::npos);
  BOOST_TEST(value(lock->api_token()) == token);
  BOOST_TEST(value(lock->secret_digest_key()) != token);
  const auto file = lock->directory() / api_token_file;
  BOOST_CHECK(mode_of(file) == (fs::perms::owner_read | fs::perms::owner_write));
  BOOST_TEST(value(read_secret_file(file)) == token);
  fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
  BOOST_TEST(code(lock->api_token()) == "invalid_spec");
  fs::remove(file);
  fs::create_symlink(lock->directory() / "secret-digest-key", file);
  BOOST_TEST(code(lock->api_token()) == "invalid_spec");
  fs::remove(file);
  std::ofstream{file}.close();
  fs::permissions(file, fs::perms::owner_read);
  BOOST_TEST(code(lock->api_token()) == "invalid_spec");
  fs::remove(file);
  BOOST_TEST(code(read_secret_file(file)) == "not_found");
  BOOST_TEST(value(lock->api_token()) != token);
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator{lock->directory()})
    ++count;
  BOOST_TEST(count == 3U); // lock, token, secret-digest-key: no drafts left
}
