#pragma once

#include "adapters/kube/client_config.hpp"
#include "messages/model/time.hpp"

#include <chrono>
#include <memory>

namespace veranda::kube {

/// What a connection and a request are made with, as read at one moment. Never logged.
struct api_credentials {
  std::string ca_pem; ///< empty: the system's roots
  std::string client_certificate_pem;
  std::string client_key_pem;
  std::string token;
  std::string username;
  std::string password;
  bool operator==(const api_credentials&) const = default;
};

/// What a reading gave, and when to read again.
struct credential_reading {
  api_credentials credentials;
  std::optional<std::chrono::seconds> fresh_for; ///< read again then; nothing: they never change
  std::optional<failure> problem;                ///< something could not be read anew: the value read last is used
};

/// Reads what a configuration refers to: files, the output of a plugin. One thread at a time; blocks.
class credential_source {
public:
  virtual ~credential_source() = default;
  /// `rejected`: the server refused what was read last, so nothing remembered is good enough. `interrupted` is asked while a plugin runs; its failure ends it.
  virtual result<credential_reading> read(bool rejected, const std::function<result<void>()>& interrupted) = 0;
  /// Whether reading again can give something else.
  [[nodiscard]] virtual bool renewable() const = 0;
};

struct credential_options {
  std::chrono::milliseconds plugin_deadline{std::chrono::seconds{60}};
  std::size_t max_plugin_bytes = 1U << 20U;
  std::size_t max_file_bytes = 1U << 20U;
  std::chrono::seconds reread{50};                       ///< of files: the kubelet renews them well before they end
  std::function<wall_time()> now;                        ///< of the system when not set
  std::function<std::vector<std::string>()> environment; ///< what plugins inherit, `NAME=value`; ours when not set
};

/// The real source. Over plain http nothing is read and nothing is sent: credentials belong to https.
std::unique_ptr<credential_source> open_credentials(client_config config, credential_options options = {});

} // namespace veranda::kube
