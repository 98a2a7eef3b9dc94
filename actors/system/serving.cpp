#include "actors/system/real_system.hpp"

#include "actors/api/api_bridge.hpp"
#include "actors/api/load_json.hpp"
#include "actors/common/dump.hpp"

#include <caf/actor_system.hpp>

#include <tuple>

namespace veranda {

namespace {

template <class T>
std::unique_ptr<T> or_null(result<std::unique_ptr<T>> opened) {
  return opened ? std::move(*opened) : nullptr;
}

} // namespace

api::probe real_system::probe_with_data_directory() const {
  auto probe = ready_.probe();
  if (!parts_.data->in_place()) {
    probe.ok = false;
    probe.text += "[-]data directory: " + settings_.data_dir.string() + " was moved or removed under this process; put it back, or start anew\n";
  }
  return probe;
}

result<void> real_system::start_api() {
  api::api_settings s;
  s.address = settings_.listen_address;
  s.port = settings_.listen_port;
  s.token = parts_.token;
  s.tls_certificate_file = settings_.tls_certificate.string();
  s.tls_key_file = settings_.tls_key.string();
  api::api_dependencies deps;
  deps.open_cache = [this] { return or_null(open_cache()); };
  if (parts_.kube) {
    deps.open_objects = refuse_object_reads;
    deps.writer = refuse_object_writes();
  } else {
    deps.open_objects = [this] { return or_null(open_objects()); };
    deps.writer = make_object_writer(*system_, object_store_);
  }
  deps.livez = [] { return api::probe{true, "[+]ping ok\n"}; };
  deps.readyz = [this] { return probe_with_data_directory(); };
  deps.metrics = [this] {
    const auto mirrors = mirrors_->totals();
    telemetry_->mirrors(mirrors.count, mirrors.bytes, mirrors.removed);
    return telemetry_->render(env_.wall_now());
  };
  deps.dump = [this](const std::string& name, bool deep) -> result<std::string> {
    show_api_load();
    show_mirrors();
    auto text = dump_json(*env_.cells, env_.wall_now(), name);
    return deep ? add_deep_state(*system_, supervisor_, name, std::move(text)) : result<std::string>{std::move(text)};
  };
  deps.explain = [this](const object_key& repository) { return explain_repository(*system_, supervisor_, *mirrors_, repository, env_.wall_now()); };
  deps.top = [this] { return load_json(process_now(), telemetry_->loads()); };
  deps.log = [](const std::string& line) { log::debug("api", line); };
  auto started = api::start_api_server(s, std::move(deps));
  if (!started)
    return started.error();
  api_ = std::move(*started);
  api_cell_ = env_.cells->add("api");
  api_cell_->set_state("serving");
  api_cell_->set_detail("port", std::to_string(api_->port()));
  *commit_target_ = api_.get();
  return {};
}

process_load real_system::process_now() const {
  process_load out;
  out.now = env_.wall_now();
  out.started = telemetry_->started();
  out.workers = workers_;
  std::tie(out.queued, out.busy) = telemetry_->jobs();
  out.memory_bytes = resident_memory();
  out.mirrors = mirrors_->totals();
  if (const auto* server = commit_target_->load())
    out.api = server->load();
  return out;
}

void real_system::show_mirrors() {
  const auto all = mirrors_->totals();
  mirrors_cell_->set_state(all.max_bytes != 0 && all.bytes > all.max_bytes ? "beyond the limit" : "within the limit");
  mirrors_cell_->set_detail("count", std::to_string(all.count));
  mirrors_cell_->set_detail("bytes", std::to_string(all.bytes));
  mirrors_cell_->set_detail("limit", std::to_string(all.max_bytes));
  mirrors_cell_->set_detail("removed", std::to_string(all.removed));
}

void real_system::show_api_load() {
  const auto* server = commit_target_->load();
  if (server == nullptr) // a request of the first moment
    return;
  const auto load = server->load();
  api_cell_->set_detail("connections", std::to_string(load.connections));
  api_cell_->set_detail("watches", std::to_string(load.watches));
  api_cell_->set_detail("requests", std::to_string(load.requests));
}

} // namespace veranda
