#pragma once

#include "actors/common/store_health.hpp"
#include "adapters/api/api_server.hpp"
#include "adapters/source/manifest_directory.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace veranda {

/// What `/readyz` is made of, told by those who know. Thread safe.
class readiness {
public:
  const std::shared_ptr<store_health> objects = std::make_shared<store_health>();
  const std::shared_ptr<store_health> cache = std::make_shared<store_health>();

  void first_list_applied() { listed_ = true; }
  void set_problems(std::vector<source::manifest_problem> problems);
  [[nodiscard]] std::vector<source::manifest_problem> problems() const;
  /// A line per check. Problems of manifests are named, but only those who wrote them can do something about them.
  [[nodiscard]] api::probe probe() const;

private:
  std::atomic<bool> listed_{false};
  mutable std::mutex mutex_;
  std::vector<source::manifest_problem> problems_;
};

} // namespace veranda
