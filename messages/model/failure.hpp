#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace veranda {

/// Error codes, grouped by what the caller should do (see `error_class`), never by topic.
enum class ec : std::uint8_t {
  // retry
  unreachable = 1, ///< no connection: DNS, refused, reset, TLS handshake
  timed_out,       ///< a deadline passed
  unavailable,     ///< the other side answered that it cannot now: 5xx, disk full, unknown codes
  // wait
  throttled,          ///< 429 or a rate limit; `retry_after` may say how long
  overloaded,         ///< our own queue is full
  dependency_missing, ///< a Secret or another object is not there yet
  host_unavailable,   ///< the remote's host was found to be down; nobody asks it before `retry_after`
  // needs change
  auth_rejected, ///< 401, 403, missing or wrong credentials
  not_found,     ///< 404, missing branch, missing repository
  invalid_spec,  ///< the object's own fields are wrong
  too_large,     ///< a limit of ours is exceeded
  unsupported,   ///< a kind, protocol or format Veranda does not speak
  // race
  conflict, ///< somebody else wrote in between; re-read and redo
  stale,    ///< our fence or position is older than what is stored; stop or relist
  // damaged
  checksum_mismatch, ///< content does not hash to its name
  corrupt_cache,     ///< a store file is damaged
  // stop
  cancelled,     ///< a cancel token was set
  shutting_down, ///< the process ends
  // bug
  internal, ///< an invariant does not hold
};

/// What a failure asks for.
enum class error_class : std::uint8_t { retry, wait, needs_change, race, damaged, stop, bug };

/// Pure; total over `ec`.
[[nodiscard]] error_class class_of(ec code) noexcept;
/// Stable lower_snake name of the code, used in conditions, metrics and logs.
[[nodiscard]] std::string_view to_string(ec code) noexcept;
[[nodiscard]] std::string_view to_string(error_class c) noexcept;
/// Inverse of `to_string(ec)`; nothing for an unknown name.
[[nodiscard]] std::optional<ec> parse_ec(std::string_view name) noexcept;

/// Why something did not work: one human sentence without secrets, and what it is about.
struct failure {
  ec code = ec::internal;
  std::string what;   ///< one sentence, no secrets, no URL userinfo or query
  std::string object; ///< the object or file concerned, may be empty
  std::string field;  ///< the field concerned, e.g. `spec.git.branch`, may be empty
  std::optional<std::chrono::milliseconds> retry_after; ///< what the other side asked for

  bool operator==(const failure&) const = default;
};

/// `object: field: what`, leaving out what is empty.
[[nodiscard]] std::string describe(const failure& f);

/// Either a value or a `failure`. Test before use.
template <class T>
class [[nodiscard]] result {
public:
  using value_type = T;
  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(failure f) : state_(std::in_place_index<1>, std::move(f)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] T& operator*() & { return std::get<0>(state_); }
  [[nodiscard]] const T& operator*() const& { return std::get<0>(state_); }
  [[nodiscard]] T&& operator*() && { return std::get<0>(std::move(state_)); }
  [[nodiscard]] T* operator->() { return &std::get<0>(state_); }
  [[nodiscard]] const T* operator->() const { return &std::get<0>(state_); }
  [[nodiscard]] const failure& error() const& { return std::get<1>(state_); }
  [[nodiscard]] failure&& error() && { return std::get<1>(std::move(state_)); }

private:
  std::variant<T, failure> state_;
};

/// Success, or a `failure`.
template <>
class [[nodiscard]] result<void> {
public:
  result() = default;
  result(failure f) : failure_(std::move(f)) {}

  [[nodiscard]] bool ok() const noexcept { return !failure_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const failure& error() const& { return *failure_; }
  [[nodiscard]] failure&& error() && { return *std::move(failure_); }

private:
  std::optional<failure> failure_;
};

} // namespace veranda
