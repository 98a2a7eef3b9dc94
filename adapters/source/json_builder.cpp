#include "adapters/source/json_builder.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

namespace veranda::source {
namespace {

using nlohmann::json;

struct frame {
  json value;
  std::string anchor;
  std::optional<std::string> key; ///< of the value that comes next, in a map
  bool merging = false;           ///< the value that comes next is to be merged
  std::vector<json> merges;
  std::uint64_t budget_before = 0;
  std::uint32_t height = 1; ///< of the tree below and with this node
};

struct anchored {
  json value;
  std::uint64_t cost = 0;
  std::uint32_t height = 0;
};

json to_json(yaml_scalar value) {
  return std::visit(
      [](auto&& v) -> json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>)
          return nullptr;
        else if constexpr (std::is_same_v<T, double>) {
          if (!std::isfinite(v))
            throw document_error("holds a number that JSON cannot hold");
          return v;
        } else
          return std::forward<decltype(v)>(v);
      },
      std::move(value));
}

void merge_into(json& map, const json& from) {
  if (from.is_object()) {
    for (const auto& [key, value] : from.items())
      if (!map.contains(key))
        map[key] = value;
    return;
  }
  if (!from.is_array())
    throw document_error("merges (<<) something that is not a map");
  for (const json& one : from) {
    if (!one.is_object())
      throw document_error("merges (<<) something that is not a map");
    merge_into(map, one);
  }
}

} // namespace

struct json_builder::state {
  node_budget& budget;
  std::uint32_t max_depth;
  std::vector<frame> open;
  std::map<std::string, anchored, std::less<>> anchors;
  json root;

  void begin(json empty, std::string_view anchor) {
    if (!open.empty() && open.back().value.is_object() && !open.back().key && !open.back().merging)
      throw document_error("has a map key that is not a scalar");
    if (open.size() >= max_depth)
      throw document_error("is nested too deep");
    const std::uint64_t before = budget.left;
    budget.charge(1);
    open.push_back({.value = std::move(empty), .anchor = std::string{anchor}, .key = {}, .merges = {}, .budget_before = before});
  }

  void end() {
    frame done = std::move(open.back());
    open.pop_back();
    for (const json& from : done.merges)
      merge_into(done.value, from);
    remember(done.anchor, done.value, done.budget_before - budget.left, done.height);
    add(std::move(done.value), done.height);
  }

  void remember(const std::string& anchor, const json& value, std::uint64_t cost, std::uint32_t height) {
    if (anchor.empty())
      return;
    budget.charge(cost); // the copy kept for aliases
    anchors[anchor] = {value, cost, height};
  }

  void add(json value, std::uint32_t height) {
    if (open.empty()) {
      root = std::move(value);
      return;
    }
    frame& top = open.back();
    const std::uint32_t merged = value.is_array() && height > 0 ? height - 1 : height; // merged maps become this one
    top.height = std::max(top.height, top.merging ? merged : height + 1);
    if (top.value.is_array()) {
      top.value.push_back(std::move(value));
    } else if (top.merging) {
      top.merges.push_back(std::move(value));
      top.merging = false;
    } else {
      top.value[*top.key] = std::move(value);
      top.key.reset();
    }
  }

  [[nodiscard]] bool key_is_due() const { return !open.empty() && open.back().value.is_object() && !open.back().key && !open.back().merging; }

  void take_key(const std::string& text, bool merge) {
    frame& top = open.back();
    if (merge) {
      top.merging = true;
      return;
    }
    if (top.value.contains(text))
      throw document_error("gives a key of a map twice");
    top.key = text;
  }
};

json_builder::json_builder(node_budget& budget, std::uint32_t max_depth) : state_(new state{budget, max_depth, {}, {}, {}}) {}
json_builder::~json_builder() = default;

void json_builder::begin_map(std::string_view anchor) { state_->begin(json::object(), anchor); }
void json_builder::begin_list(std::string_view anchor) { state_->begin(json::array(), anchor); }
void json_builder::end_map() { state_->end(); }
void json_builder::end_list() { state_->end(); }

void json_builder::scalar(yaml_scalar value, const std::string& text, std::string_view anchor, bool merge) {
  const std::uint64_t cost = 1 + text.size() / 64;
  state_->budget.charge(cost);
  json converted;
  if (!state_->key_is_due() || !anchor.empty())
    converted = to_json(std::move(value));
  state_->remember(std::string{anchor}, converted, cost, 0);
  if (state_->key_is_due())
    state_->take_key(text, merge);
  else
    state_->add(std::move(converted), 0);
}

void json_builder::alias(const std::string& anchor) {
  const auto it = state_->anchors.find(anchor);
  if (it == state_->anchors.end())
    throw document_error("uses an alias whose anchor is not complete before it");
  const anchored& from = it->second;
  if (state_->open.size() + from.height > state_->max_depth)
    throw document_error("is nested too deep");
  state_->budget.charge(from.cost);
  if (!state_->key_is_due())
    return state_->add(from.value, from.height);
  if (!from.value.is_string())
    throw document_error("has a map key that is not text");
  state_->take_key(from.value.get<std::string>(), false);
}

bool json_builder::empty() const { return state_->root.is_null(); }
std::string json_builder::dump() const { return state_->root.dump(-1, ' ', false, json::error_handler_t::replace); }

} // namespace veranda::source
