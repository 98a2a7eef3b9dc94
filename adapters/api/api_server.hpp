#pragma once

#include "adapters/store/object_store.hpp"
#include "adapters/store/package_cache.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace veranda::api {

/// Writes to Repository objects on behalf of API clients. Thread safe; each call blocks at most five seconds. Failures map to HTTP as Kubernetes does
/// (`conflict` 409, `not_found` 404, `invalid_spec` 422, `unavailable` 503, ...).
class object_writer {
public:
  virtual ~object_writer() = default;
  virtual result<store::stored_object> create(const std::string& resource, const std::string& json) = 0;
  virtual result<store::stored_object> update(const std::string& resource, const std::string& json) = 0;
  virtual result<store::stored_object> merge_patch(const std::string& resource, const object_key& key, const std::string& patch) = 0;
  virtual result<store::stored_object> remove(const std::string& resource, const object_key& key) = 0;
};

struct probe {
  bool ok = false;
  std::string text; ///< one line per check, `[+]name ok` / `[-]name: why`
};

struct api_settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 7878; ///< 0: any free one
  std::string token;         ///< bearer token, never empty
  std::string tls_certificate_file; ///< PEM; required when the address is not loopback
  std::string tls_key_file;
  std::size_t max_body_bytes = 3U << 20U;
  std::size_t max_header_bytes = 64U << 10U;
  std::size_t max_connections = 512;
  std::chrono::seconds header_timeout{10};
  std::chrono::seconds idle_timeout{60};
  std::chrono::milliseconds farewell{500}; ///< for what is under way when the server stops
  std::size_t threads = 2;
  std::vector<std::string> host_names; ///< further names that a Host header may carry (DNS names of the listener)
};

/// What the server answers from. Functions are called from its threads and must be thread safe and quick.
struct api_dependencies {
  std::function<std::unique_ptr<store::package_cache_reader>()> open_cache;
  std::function<std::unique_ptr<store::object_store_reader>()> open_objects;
  std::shared_ptr<object_writer> writer;
  std::function<probe()> livez;
  std::function<probe()> readyz;
  std::function<std::string()> metrics;                                             ///< Prometheus text
  std::function<result<std::string>(const std::string& name, bool deep)> dump;      ///< JSON; empty name: everything
  std::function<result<std::string>(const object_key& repository)> explain;         ///< JSON: what it does, why, and what comes next; `not_found`
  std::function<std::string()> top;                                                 ///< JSON: the process, and what each repository costs
  std::function<void(const std::string& access_line)> log;
};

/// What the server does now, and has done since it started.
struct api_load {
  std::size_t connections = 0;
  std::size_t watches = 0;
  std::uint64_t requests = 0; ///< begun; probes and refused ones included
  bool operator==(const api_load&) const = default;
};

/// The daemon's one listener: a Kubernetes-style API (`/apis/GROUP/VERSION/namespaces/NS/RESOURCE/NAME`, lists, watches, `Status` errors), probes, metrics, dump. Own
/// threads; starting fails with `unavailable` when the address cannot be bound and `invalid_spec` when it needs TLS.
class api_server {
public:
  virtual ~api_server() = default; ///< stops and joins
  virtual std::uint16_t port() const = 0;
  /// Thread safe: wakes the watches, something was committed.
  virtual void notify_changed() = 0;
  virtual void stop() = 0;
  /// Thread safe, does not wait for requests.
  virtual api_load load() const = 0;
  /// Reads the TLS certificate and key anew for connections from now on; on failure the old ones stay. Thread safe; does nothing without TLS.
  virtual result<void> reload_certificate() = 0;
};

result<std::unique_ptr<api_server>> start_api_server(const api_settings& settings, api_dependencies dependencies);

} // namespace veranda::api
