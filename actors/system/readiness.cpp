#include "actors/system/readiness.hpp"

namespace veranda {

void readiness::set_problems(std::vector<source::manifest_problem> problems) {
  const std::lock_guard lock{mutex_};
  problems_ = std::move(problems);
}

std::vector<source::manifest_problem> readiness::problems() const {
  const std::lock_guard lock{mutex_};
  return problems_;
}

api::probe readiness::probe() const {
  api::probe p{listed_, "[+]settings ok\n"};
  for (const auto& [name, health] : {std::pair{"object store", objects.get()}, std::pair{"package cache", cache.get()}}) {
    const auto trouble = health->trouble();
    p.text += trouble ? std::string{"[!]"} + name + ": the last write failed (" + std::string{to_string(*trouble)} + ")\n" : std::string{"[+]"} + name + " ok\n";
  }
  p.text += listed_ ? "[+]repositories ok\n" : "[-]repositories: the first list has not been applied yet\n";
  if (const auto all = problems(); !all.empty())
    p.text += "[!]manifests: " + std::to_string(all.size()) + " problems, the first: " + source::describe(all.front()) + "\n";
  return p;
}

} // namespace veranda
