#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace veranda {

enum class metric_type : std::uint8_t { counter, gauge, histogram };
[[nodiscard]] std::string_view to_string(metric_type t) noexcept;

/// What a family is called and what it means. Texts are literals.
struct metric_info {
  std::string_view name;
  metric_type type;
  std::string_view help;
  std::vector<std::string_view> labels{};
};

using label_values = std::vector<std::string>;

/// Writes the Prometheus text format, version 0.0.4.
class exposition {
public:
  /// HELP and TYPE; its samples follow.
  void family(const metric_info& info);
  /// One sample of the family last begun. `suffix` is `_bucket`, `_sum`, `_count` or empty; `le` is written last when not empty.
  void sample(const metric_info& info, std::span<const std::string> values, double value, std::string_view suffix = {}, std::string_view le = {});
  void sample(const metric_info& info, std::initializer_list<std::string> values, double value) { sample(info, std::span{values.begin(), values.size()}, value); }
  [[nodiscard]] std::string take() && { return std::move(text_); }

private:
  std::string text_;
};

/// Only rises. Any thread; lock-free.
class counter {
public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> value_{0};
};

/// Goes up and down. Any thread; lock-free.
class gauge {
public:
  void set(double v) noexcept { value_.store(v, std::memory_order_relaxed); }
  void add(double v) noexcept { value_.fetch_add(v, std::memory_order_relaxed); }
  [[nodiscard]] double value() const noexcept { return value_.load(std::memory_order_relaxed); }

private:
  std::atomic<double> value_{0};
};

/// Counts observations in fixed buckets. Any thread; lock-free.
class histogram {
public:
  /// `bounds` rise, and live as long as the process.
  explicit histogram(std::span<const double> bounds) : bounds_(bounds), counts_(std::make_unique<counter[]>(bounds.size() + 1)) {}
  /// A value on a bound belongs to that bound's bucket.
  void observe(double v) noexcept;
  [[nodiscard]] std::uint64_t count() const noexcept;
  [[nodiscard]] double sum() const noexcept { return sum_.value(); }
  void write(exposition& out, const metric_info& info, std::span<const std::string> values) const;

private:
  std::span<const double> bounds_;
  std::unique_ptr<counter[]> counts_; ///< one per bound, and one for what is above
  gauge sum_;
};

class metric_registry;

/// One family of a registry. Lives where it was made: the registry keeps its address.
class metric_family {
public:
  metric_family(metric_registry& registry, metric_info info);
  virtual ~metric_family() = default;
  metric_family(const metric_family&) = delete;
  metric_family& operator=(const metric_family&) = delete;

  [[nodiscard]] const metric_info& info() const noexcept { return info_; }
  virtual void write(exposition& out) const = 0;

protected:
  /// Place of these label values among `sets`; the last one for values that are not there.
  static std::size_t find(const std::vector<label_values>& sets, std::initializer_list<std::string_view> values) noexcept;

private:
  metric_info info_;
};

/// The families of a process, in the order in which they were made.
class metric_registry {
public:
  [[nodiscard]] const std::vector<const metric_family*>& families() const noexcept { return families_; }
  void write(exposition& out) const;

private:
  friend class metric_family;
  std::vector<const metric_family*> families_;
};

/// A family with all its label value sets made at the start, each 0. `at` is lock-free; keep the reference where it is hot.
template <class Cell>
class family_of final : public metric_family {
public:
  /// `sets`: every allowed combination of label values; the last one also takes what is not among them. One empty set when there are no labels.
  template <class... Args>
  family_of(metric_registry& registry, metric_info info, std::vector<label_values> sets, const Args&... args)
      : metric_family(registry, std::move(info)), sets_(std::move(sets)) {
    cells_.reserve(sets_.size());
    for (std::size_t i = 0; i < sets_.size(); ++i)
      cells_.push_back(std::make_unique<Cell>(args...));
  }

  [[nodiscard]] Cell& at(std::initializer_list<std::string_view> values) noexcept { return *cells_[find(sets_, values)]; }
  /// The only one of a family without labels.
  [[nodiscard]] Cell& get() noexcept { return *cells_.back(); }
  [[nodiscard]] const std::vector<label_values>& sets() const noexcept { return sets_; }
  void write(exposition& out) const override;

private:
  std::vector<label_values> sets_;
  std::vector<std::unique_ptr<Cell>> cells_;
};

/// A family without values of its own: its samples are put in just before it is written. Not thread safe.
class collected_family final : public metric_family {
public:
  using metric_family::metric_family;
  void add(label_values values, double value) { samples_.push_back({std::move(values), value}); }
  void clear() { samples_.clear(); }
  void write(exposition& out) const override;

private:
  struct sample {
    label_values values;
    double value;
  };
  std::vector<sample> samples_;
};

using counters = family_of<counter>;
using gauges = family_of<gauge>;
using histograms = family_of<histogram>;

/// Every combination of one value of each list.
[[nodiscard]] std::vector<label_values> all_combinations(std::initializer_list<std::vector<std::string>> lists);

} // namespace veranda
