#include "adapters/kube/kube_source.hpp"

#include "adapters/kube/collection_follower.hpp"
#include "adapters/kube/repository_events.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <set>

namespace veranda::kube {

namespace {

using steady = std::chrono::steady_clock;
using source::repository_event;
using source::repository_event_type;
using told = logic::reflector_event;

constexpr std::size_t max_events = 1'000; ///< of one poll
constexpr std::chrono::milliseconds slice_of_list{250};

repository_event to_event(const told& event) {
  const auto type = event.type == told::kind::added      ? repository_event_type::added
                    : event.type == told::kind::modified ? repository_event_type::modified
                    : event.type == told::kind::deleted  ? repository_event_type::deleted
                                                         : repository_event_type::bookmark;
  return {type, to_repository(event.object)};
}

class kube_source final : public source::repository_source {
public:
  kube_source(std::unique_ptr<api_client> client, kube_source_options options) : client_(std::move(client)), options_(std::move(options)) {
    std::set<std::string> scopes{options_.namespaces.begin(), options_.namespaces.end()};
    if (scopes.empty()) scopes.insert("");
    for (const auto& ns : scopes)
      followers_.push_back(std::make_unique<collection_follower>(*client_, repositories(), api_scope{ns, options_.label_selector, {}}, options_.policy, options_.seed + followers_.size()));
  }
  ~kube_source() override { followers_.clear(); }

  result<source::repository_list> list() override {
    const auto until = steady::now() + options_.list_deadline;
    if (std::exchange(begun_, true))
      for (auto& f : followers_) f->restart();
    listed_ = false;
    pending_.clear();
    source::repository_list out;
    std::set<const collection_follower*> done;
    while (done.size() < followers_.size()) {
      if (interrupted_) return failure{ec::cancelled, "the program ends", {}, {}, {}};
      if (steady::now() >= until) return said(failure{ec::timed_out, "the list of Repository objects did not end in time", repositories().name(), {}, {}});
      step();
      for (auto& f : followers_) {
        take(*f, out, done);
        if (!done.contains(f.get()) && f->state().problem()) return said(*f->state().problem());
      }
      if (done.size() < followers_.size()) client_->run_for(slice_of_list);
    }
    listed_ = true;
    report();
    return out;
  }

  result<std::vector<repository_event>> poll(const std::string&, std::chrono::milliseconds slice) override {
    if (!listed_) return failure{ec::stale, "nothing was listed yet", {}, {}, {}};
    std::vector<repository_event> out;
    const auto until = steady::now() + slice;
    for (;;) {
      step();
      hand_out(out);
      report();
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady::now());
      if (!out.empty() || interrupted_ || left.count() <= 0) return out;
      client_->run_for(std::min(left, until_due()));
    }
  }

  void interrupt() override {
    interrupted_ = true;
    client_->wake();
  }

private:
  /// What is not handed out yet must not pile up: then the streams wait.
  void step() {
    for (auto& f : followers_) f->step(steady::now(), pending_.size() < max_events ? max_events : 0);
    tell_losses();
  }

  void tell_losses() {
    if (!options_.on_watch_lost) return;
    for (std::size_t n = 0; n < logic::watch_losses; ++n) {
      const auto how = static_cast<logic::watch_loss>(n);
      std::uint64_t sum = 0;
      for (const auto& f : followers_) sum += f->state().lost(how);
      for (; told_losses_[n] < sum; ++told_losses_[n]) options_.on_watch_lost(how);
    }
  }

  /// What belongs to a follower's list goes into `out`; what it tells afterwards waits.
  void take(collection_follower& f, source::repository_list& out, std::set<const collection_follower*>& done) {
    for (const auto& event : f.take_events()) {
      show(event);
      if (done.contains(&f)) {
        pending_.push_back(to_event(event));
      } else if (event.type == told::kind::applied) {
        done.insert(&f);
        out.resource_version = event.object.resource_version;
      } else if (event.type == told::kind::added) {
        out.items.push_back(to_repository(event.object));
      }
    }
  }

  void show(const told& event) {
    if (options_.on_object && event.type != told::kind::bookmark && event.type != told::kind::applied)
      options_.on_object(event.object, event.type == told::kind::deleted);
  }

  void hand_out(std::vector<repository_event>& out) {
    for (auto& f : followers_)
      for (const auto& event : f->take_events()) {
        show(event);
        pending_.push_back(to_event(event));
      }
    const auto count = std::min(pending_.size(), max_events);
    std::move(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count), std::back_inserter(out));
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  }

  [[nodiscard]] std::chrono::milliseconds until_due() const {
    auto out = slice_of_list;
    for (const auto& f : followers_)
      if (const auto due = f->due()) out = std::min(out, std::chrono::duration_cast<std::chrono::milliseconds>(*due - steady::now()) + std::chrono::milliseconds{1});
    return std::max(out, std::chrono::milliseconds{1});
  }

  /// Says what is wrong now, if it is something else than before.
  void report() {
    std::optional<failure> worst;
    for (const auto& f : followers_)
      if (f->state().problem() && !worst) worst = f->state().problem();
    if (!worst && client_->credential_problem()) worst = client_->credential_problem();
    if (worst == problem_) return;
    problem_ = worst;
    if (options_.on_problem) options_.on_problem(problem_);
  }
  failure said(failure why) {
    report();
    return why;
  }

  std::unique_ptr<api_client> client_;
  kube_source_options options_;
  std::vector<std::unique_ptr<collection_follower>> followers_;
  std::deque<repository_event> pending_;
  std::optional<failure> problem_;
  std::array<std::uint64_t, logic::watch_losses> told_losses_{};
  bool begun_ = false;
  bool listed_ = false;
  std::atomic<bool> interrupted_{false};
};

} // namespace

std::unique_ptr<source::repository_source> open_kube_source(std::unique_ptr<api_client> client, kube_source_options options) {
  return std::make_unique<kube_source>(std::move(client), std::move(options));
}

} // namespace veranda::kube
