#include "actors/system/readiness.hpp"

namespace veranda {

void readiness::set_problems(std::vector<source::manifest_problem> problems) {
  const std::lock_guard lock{mutex_};
  problems_ = std::move(problems);
}

void readiness::set_source_problem(std::string why) {
  const std::lock_guard lock{mutex_};
  source_problem_ = std::move(why);
}

void readiness::set_package_rev_problem(std::string why) {
  const std::lock_guard lock{mutex_};
  package_rev_problem_ = std::move(why);
}

void readiness::set_secret_problem(std::string why) {
  const std::lock_guard lock{mutex_};
  secret_problem_ = std::move(why);
}

void readiness::set_deletion_problem(std::string why) {
  const std::lock_guard lock{mutex_};
  deletion_problem_ = std::move(why);
}

std::string readiness::source_problem() const {
  const std::lock_guard lock{mutex_};
  return source_problem_;
}

void readiness::set_election(std::string line, bool standby, bool sound) {
  const std::lock_guard lock{mutex_};
  election_ = std::move(line);
  standby_ = standby;
  sound_ = sound;
}

std::vector<source::manifest_problem> readiness::problems() const {
  const std::lock_guard lock{mutex_};
  return problems_;
}

api::probe readiness::probe() const {
  api::probe p{listed_, "[+]settings ok\n"};
  for (const auto& [name, health] : {std::pair<std::string_view, const store_health*>{object_store_, objects.get()}, {"package cache", cache.get()}}) {
    const auto trouble = health->trouble();
    p.text.append(trouble ? "[!]" : "[+]").append(name).append(trouble ? ": the last write failed (" + std::string{to_string(*trouble)} + ")\n" : " ok\n");
  }
  {
    const std::lock_guard lock{mutex_};
    if (!election_.empty())
      p.text.append(sound_ ? "[+]" : standby_ ? "[-]" : "[!]").append("leader election: ").append(election_).append("\n");
    if (standby_) {
      p.ok = sound_;
      return p;
    }
  }
  const auto cause = source_problem();
  if (!listed_)
    p.text += "[-]repositories: the first list has not been applied yet" + (cause.empty() ? "" : ": " + cause) + "\n";
  else
    p.text += cause.empty() ? "[+]repositories ok\n" : "[!]repositories: as they were some time ago: " + cause + "\n";
  {
    const std::lock_guard lock{mutex_};
    if (!deletion_problem_.empty())
      p.text += "[!]deletion of Repositories: " + deletion_problem_ + "\n";
    if (const auto& why = package_rev_problem_)
      p.text += why->empty() ? "[+]PackageRev objects ok\n" : "[!]PackageRev objects: " + *why + "\n";
    if (const auto& why = secret_problem_)
      p.text += why->empty() ? "[+]watch of Secrets ok\n" : "[!]watch of Secrets: " + *why + "; they are read before each use\n";
  }
  if (const auto all = problems(); !all.empty())
    p.text += "[!]manifests: " + std::to_string(all.size()) + " problems, the first: " + source::describe(all.front()) + "\n";
  return p;
}

} // namespace veranda
