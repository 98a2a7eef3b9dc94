#include "actors/common/metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace veranda {

namespace {

/// Shortest form that reads back as the same value.
std::string number(double v) {
  if (std::isnan(v))
    return "NaN";
  if (std::isinf(v))
    return v > 0 ? "+Inf" : "-Inf";
  std::array<char, 32> buffer{};
  const bool whole = std::floor(v) == v && std::abs(v) < 9e15; // 1773137250, not 1.77313725e+09
  const auto end = whole ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), static_cast<std::int64_t>(v))
                         : std::to_chars(buffer.data(), buffer.data() + buffer.size(), v);
  return {buffer.data(), end.ptr};
}

void append_escaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
}

void append_label(std::string& out, std::string_view name, std::string_view value) {
  out += out.back() == '{' ? "" : ",";
  out += name;
  out += "=\"";
  append_escaped(out, value, true);
  out += '"';
}

void write_cell(exposition& out, const metric_info& info, const label_values& values, const counter& c) {
  out.sample(info, values, static_cast<double>(c.value()));
}
void write_cell(exposition& out, const metric_info& info, const label_values& values, const gauge& g) { out.sample(info, values, g.value()); }
void write_cell(exposition& out, const metric_info& info, const label_values& values, const histogram& h) { h.write(out, info, values); }

} // namespace

std::string_view to_string(metric_type t) noexcept {
  switch (t) {
  case metric_type::counter: return "counter";
  case metric_type::gauge: return "gauge";
  case metric_type::histogram: return "histogram";
  }
  return "untyped";
}

void exposition::family(const metric_info& info) {
  text_ += "# HELP ";
  text_ += info.name;
  text_ += ' ';
  append_escaped(text_, info.help, false);
  text_ += "\n# TYPE ";
  text_ += info.name;
  text_ += ' ';
  text_ += to_string(info.type);
  text_ += '\n';
}

void exposition::sample(const metric_info& info, std::span<const std::string> values, double value, std::string_view suffix, std::string_view le) {
  text_ += info.name;
  text_ += suffix;
  const std::size_t labels = std::min(info.labels.size(), values.size());
  if (labels != 0 || !le.empty()) {
    text_ += '{';
    for (std::size_t i = 0; i < labels; ++i)
      append_label(text_, info.labels[i], values[i]);
    if (!le.empty())
      append_label(text_, "le", le);
    text_ += '}';
  }
  text_ += ' ';
  text_ += number(value);
  text_ += '\n';
}

void histogram::observe(double v) noexcept {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), v);
  counts_[static_cast<std::size_t>(at - bounds_.begin())].add();
  sum_.add(v);
}

std::uint64_t histogram::count() const noexcept {
  std::uint64_t n = 0;
  for (std::size_t i = 0; i <= bounds_.size(); ++i)
    n += counts_[i].value();
  return n;
}

void histogram::write(exposition& out, const metric_info& info, std::span<const std::string> values) const {
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < bounds_.size(); ++i) {
    below += counts_[i].value();
    out.sample(info, values, static_cast<double>(below), "_bucket", number(bounds_[i]));
  }
  below += counts_[bounds_.size()].value(); // read once: the last bucket and the count never differ
  out.sample(info, values, static_cast<double>(below), "_bucket", "+Inf");
  out.sample(info, values, sum(), "_sum");
  out.sample(info, values, static_cast<double>(below), "_count");
}

metric_family::metric_family(metric_registry& registry, metric_info info) : info_(std::move(info)) { registry.families_.push_back(this); }

std::size_t metric_family::find(const std::vector<label_values>& sets, std::initializer_list<std::string_view> values) noexcept {
  const auto equal = [&](const label_values& set) { return std::equal(set.begin(), set.end(), values.begin(), values.end()); };
  const auto it = std::find_if(sets.begin(), sets.end(), equal);
  return it == sets.end() ? sets.size() - 1 : static_cast<std::size_t>(it - sets.begin());
}

void metric_registry::write(exposition& out) const {
  for (const auto* family : families_) {
    out.family(family->info());
    family->write(out);
  }
}

template <class Cell>
void family_of<Cell>::write(exposition& out) const {
  for (std::size_t i = 0; i < cells_.size(); ++i)
    write_cell(out, info(), sets_[i], *cells_[i]);
}

void collected_family::write(exposition& out) const {
  for (const auto& s : samples_)
    out.sample(info(), s.values, s.value);
}

template class family_of<counter>;
template class family_of<gauge>;
template class family_of<histogram>;

std::vector<label_values> all_combinations(std::initializer_list<std::vector<std::string>> lists) {
  std::vector<label_values> sets{{}};
  for (const auto& list : lists) {
    std::vector<label_values> longer;
    for (const auto& set : sets)
      for (const auto& value : list) {
        longer.push_back(set);
        longer.back().push_back(value);
      }
    sets = std::move(longer);
  }
  return sets;
}

} // namespace veranda
