#include "adapters/store/object_schema.hpp"

namespace veranda::store {
namespace {

// objects   The current objects; `json` is the whole object.
// events    What happened, by resourceVersion: the object after it, for a deletion as it last was with the deletion's resourceVersion.
//           Every resourceVersion is one event. Those up to `event_floor` are gone.
// resourceVersions start at the time the file is made, so that those of a lost file are in the past of a new one.
constexpr const char* version_1 = R"sql(
CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE objects(
  id INTEGER PRIMARY KEY,
  resource TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
  resource_version INTEGER NOT NULL, generation INTEGER NOT NULL, json TEXT NOT NULL,
  UNIQUE(resource, ns, name));
CREATE TABLE events(
  resource_version INTEGER PRIMARY KEY,
  type INTEGER NOT NULL, resource TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,
  generation INTEGER NOT NULL, json TEXT NOT NULL);
CREATE INDEX events_by_resource ON events(resource, resource_version);
INSERT INTO counters(name, value) VALUES('resource_version', unixepoch() << 16);
INSERT INTO counters(name, value) SELECT 'event_floor', value FROM counters;
)sql";

constexpr const char* steps[] = {version_1};

} // namespace

const sqlite::schema object_schema{0x564f5331, "object store", steps, 4096, true}; // "VOS1"

std::shared_ptr<change_hub> change_hub::of(const std::filesystem::path& file) {
  static std::mutex mutex;
  static std::map<std::filesystem::path, std::weak_ptr<change_hub>> hubs;
  std::error_code code;
  auto name = std::filesystem::weakly_canonical(file, code);
  const std::lock_guard lock{mutex};
  std::erase_if(hubs, [](const auto& entry) { return entry.second.expired(); });
  auto& known = hubs[code ? file : name];
  auto hub = known.lock();
  if (!hub)
    known = hub = std::make_shared<change_hub>();
  return hub;
}

void change_hub::publish(std::int64_t resource_version) {
  {
    const std::lock_guard lock{mutex_};
    latest_ = std::max(latest_, resource_version);
  }
  moved_.notify_all();
}

void change_hub::wait_beyond(std::int64_t resource_version, std::chrono::milliseconds wait, const std::atomic<bool>& stop) {
  std::unique_lock lock{mutex_};
  moved_.wait_for(lock, wait, [&] { return latest_ > resource_version || stop; });
}

void change_hub::wake() {
  {
    const std::lock_guard lock{mutex_}; // nobody is between his look and his wait
  }
  moved_.notify_all();
}

} // namespace veranda::store
