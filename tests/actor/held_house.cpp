#include "tests/actor/held_house.hpp"

namespace veranda::test {

held_house::held_house() {
  git.publish(url, "main", "app", 1);
  api->told = [this](const repository_object& o, bool gone) {
    if (deaf)
      return;
    if (o.meta.deleted && !gone)
      rows_at_mark = cache.rows.size();
    if (gone)
      rows_at_end = cache.rows.size(), mirrors_at_end = git.mirrors.size();
    caf::anon_send(boss, msg::repository_changed{std::make_shared<const repository_object>(o), gone});
  };
  finalizers = spawn(fake_finalizers, api);
  open();
}

void held_house::list_all() {
  std::vector<repository_object> all;
  for (const auto& [k, o] : api->objects) {
    objects->put(o.meta.key, o.meta.uid);
    all.push_back(o);
  }
  tell(boss, msg::repositories_listed{std::make_shared<const std::vector<repository_object>>(std::move(all))});
}

void held_house::leave(const std::string& name) {
  deaf = true;
  tell(boss, msg::repository_changed{std::make_shared<const repository_object>(api->objects.at(key(name))), true});
}

void held_house::power_cut() {
  caf::anon_send_exit(boss, caf::exit_reason::kill);
  settle();
  open_supervisor();
}

} // namespace veranda::test
