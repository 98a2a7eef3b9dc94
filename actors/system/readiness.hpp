#pragma once

#include "actors/common/store_health.hpp"
#include "adapters/api/api_server.hpp"
#include "adapters/source/manifest_directory.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace veranda {

/// What `/readyz` is made of, told by those who know. Thread safe.
class readiness {
public:
  /// `object_store`: what statuses are written to.
  explicit readiness(std::string object_store = "object store") : object_store_(std::move(object_store)) {}
  const std::shared_ptr<store_health> objects = std::make_shared<store_health>();
  const std::shared_ptr<store_health> cache = std::make_shared<store_health>();

  void first_list_applied() { listed_ = true; }
  /// Why the objects cannot be followed now; empty when they are.
  void set_source_problem(std::string why);
  /// Where the election stands; without one there is nothing to say. One that stands by is ready while it can take over.
  void set_election(std::string line, bool standby, bool sound);
  /// Why PackageRev objects cannot be followed or written now; empty when they are. Without a call there is no line about them.
  void set_package_rev_problem(std::string why);
  /// What Repositories that are being deleted wait for; empty when none does.
  void set_deletion_problem(std::string why);
  /// Why Secrets cannot be watched now; empty when they are. Without a call there is no line about them.
  void set_secret_problem(std::string why);
  void set_problems(std::vector<source::manifest_problem> problems);
  [[nodiscard]] std::vector<source::manifest_problem> problems() const;
  /// A line per check. Problems of manifests are named, but only those who wrote them can do something about them.
  [[nodiscard]] api::probe probe() const;

private:
  [[nodiscard]] std::string source_problem() const;
  const std::string object_store_;
  std::atomic<bool> listed_{false};
  mutable std::mutex mutex_;
  std::vector<source::manifest_problem> problems_;
  std::string source_problem_;
  std::string deletion_problem_;
  std::string election_; ///< empty: there is none
  bool standby_ = false;
  bool sound_ = true;
  std::optional<std::string> package_rev_problem_;
  std::optional<std::string> secret_problem_;
};

} // namespace veranda
