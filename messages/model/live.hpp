#pragma once

#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

namespace veranda {

/// A value that one writes while others read it, each of them all of it: what is read at the beginning of some work holds to its end. Copies share the value. Thread safe.
template <class T>
class live {
public:
  live(T first = {}) : shared_(std::make_shared<state>(std::make_shared<const T>(std::move(first)))) {}
  template <class U>
    requires std::is_convertible_v<std::shared_ptr<U>, std::shared_ptr<const T>>
  live(std::shared_ptr<U> first) : shared_(std::make_shared<state>(std::move(first))) {}

  [[nodiscard]] std::shared_ptr<const T> get() const {
    const std::lock_guard lock{shared_->mutex};
    return shared_->value;
  }
  void set(T next) const {
    auto value = std::make_shared<const T>(std::move(next));
    const std::lock_guard lock{shared_->mutex};
    shared_->value.swap(value); // the old one is freed later, unless somebody uses it
  }

private:
  struct state {
    explicit state(std::shared_ptr<const T> first) : value(std::move(first)) {}
    std::mutex mutex;
    std::shared_ptr<const T> value;
  };
  std::shared_ptr<state> shared_;
};

} // namespace veranda
