#pragma once

#include "adapters/kube/credential_source.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace veranda::kube {

/// Reads credentials on a thread that lives as long as one reading: files may hang, plugins ask other servers.
class background_reader {
public:
  /// `ready` is called on the reading thread after each reading.
  background_reader(std::unique_ptr<credential_source> source, std::function<void()> ready) : source_(std::move(source)), ready_(std::move(ready)) {}
  background_reader(const background_reader&) = delete;
  background_reader& operator=(const background_reader&) = delete;
  ~background_reader() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] bool running() const noexcept { return running_; }
  [[nodiscard]] bool renewable() const { return source_->renewable(); }
  /// Begins a reading; none may be running.
  void begin(bool rejected) {
    if (thread_.joinable()) thread_.join();
    running_ = true;
    thread_ = std::thread{[this, rejected] {
      auto read = source_->read(rejected, [this]() -> result<void> {
        if (stop_) return failure{ec::shutting_down, "the program ends", {}, {}, {}};
        return {};
      });
      {
        const std::lock_guard lock{mutex_};
        done_ = std::move(read);
      }
      ready_();
    }};
  }
  /// What was read, once.
  [[nodiscard]] std::optional<result<credential_reading>> take() {
    const std::lock_guard lock{mutex_};
    if (done_) running_ = false;
    return std::exchange(done_, std::nullopt);
  }

private:
  std::unique_ptr<credential_source> source_;
  std::function<void()> ready_;
  std::atomic<bool> stop_{false};
  bool running_ = false; ///< as seen by the owner
  std::mutex mutex_;
  std::optional<result<credential_reading>> done_;
  std::thread thread_;
};

} // namespace veranda::kube
