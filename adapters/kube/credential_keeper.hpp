#pragma once

#include "adapters/kube/background_reader.hpp"

#include <chrono>

namespace veranda::kube {

/// The credentials that requests go out with, and when they are read again: when they end, and when the server refuses them (but not more often than a source that
/// cannot help would bear). Used by one thread.
class credential_keeper {
public:
  using time = std::chrono::steady_clock::time_point;
  enum class verdict : std::uint8_t { stands, try_again, wait };

  credential_keeper(std::unique_ptr<credential_source> source, std::function<void()> ready) : reader_(std::move(source), std::move(ready)) {}

  /// Takes what was read, begins to read when it is time. True when a reading has ended.
  bool tick(time now) {
    auto done = reader_.take();
    if (done) take(*std::move(done), now);
    if (!reader_.running() && due_ && *due_ <= now) {
      due_.reset();
      forced_ = std::exchange(rejected_, false);
      reader_.begin(forced_);
    }
    return done.has_value();
  }
  /// Nothing until something was read.
  [[nodiscard]] const std::optional<api_credentials>& current() const noexcept { return current_; }
  /// Counts the changes of `current`.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] const std::optional<failure>& problem() const noexcept { return problem_; }
  /// The server refused what was sent with `version`: whether there is something newer, or will be once this is `settled`.
  verdict reject(std::uint64_t version, time now) {
    if (version < version_) return verdict::try_again;
    if (!reader_.renewable()) return verdict::stands;
    if (!settled()) return verdict::wait;
    if (last_forced_ && now - *last_forced_ < between_forced) return verdict::stands;
    rejected_ = true;
    last_forced_ = now;
    due_ = now;
    return verdict::wait;
  }
  [[nodiscard]] bool settled() const noexcept { return !rejected_ && !(forced_ && reader_.running()); }
  /// When `tick` has something to do; nothing: not before a reading ends.
  [[nodiscard]] const std::optional<time>& due() const noexcept { return due_; }

private:
  static constexpr std::chrono::seconds between_forced{10};
  static constexpr std::chrono::seconds after_failure{5};

  void take(result<credential_reading> done, time now) {
    forced_ = false;
    if (!done) {
      problem_ = std::move(done).error();
      due_ = now + after_failure;
      return;
    }
    problem_ = done->problem;
    if (!current_ || *current_ != done->credentials) {
      current_ = std::move(done->credentials);
      ++version_;
    }
    if (done->fresh_for) due_ = now + *done->fresh_for;
    if (rejected_) due_ = now;
  }

  std::optional<api_credentials> current_;
  std::uint64_t version_ = 0;
  std::optional<failure> problem_;
  std::optional<time> due_ = time{};
  std::optional<time> last_forced_;
  bool rejected_ = false; ///< the next reading must not trust what is remembered
  bool forced_ = false;   ///< nor does the one under way
  background_reader reader_;
};

} // namespace veranda::kube
