#pragma once

#include "adapters/source/yaml_scalar.hpp"

#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace veranda::source {

/// A document that cannot be read; the text holds nothing of it. Thrown and caught within this folder.
struct document_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What one file may still cost: each node one, and one more for each 64 bytes of text in it.
struct node_budget {
  std::uint64_t left = 0;
  void charge(std::uint64_t cost) {
    if (cost > left)
      throw document_error("holds too many nodes, counted after its aliases are expanded");
    left -= cost;
  }
};

/// Builds one JSON value from the events of a parser, bounded in depth and nodes: both are checked before an alias is copied.
class json_builder {
public:
  json_builder(node_budget& budget, std::uint32_t max_depth);
  ~json_builder();

  void begin_map(std::string_view anchor);
  void begin_list(std::string_view anchor);
  void end_map();
  void end_list();
  /// `text` is what stands in the document: the key, where one is due. `merge`: it is an unquoted `<<`.
  void scalar(yaml_scalar value, const std::string& text, std::string_view anchor, bool merge);
  void alias(const std::string& anchor);

  /// Null when the document was empty.
  [[nodiscard]] bool empty() const;
  [[nodiscard]] std::string dump() const;

private:
  struct state;
  std::unique_ptr<state> state_;
};

} // namespace veranda::source
