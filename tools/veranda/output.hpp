#pragma once

#include <nlohmann/json.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace veranda::cli {

using json = nlohmann::ordered_json;

/// A table as people read it: columns aligned by spaces, three between, headers in capitals. Widths count characters, not bytes.
class text_table {
public:
  explicit text_table(std::vector<std::string> headers) : headers_(std::move(headers)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
  /// Prints what was added since the last call; headers before the first row. Columns never become narrower.
  void print(std::ostream& out);

private:
  std::vector<std::string> headers_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
  bool headers_printed_ = false;
};

/// The cell of a table as text.
[[nodiscard]] std::string cell_text(const json& cell);
/// `12.3Mi`.
[[nodiscard]] std::string human_bytes(double count);
/// Columns of a server's `Table`: those of priority 0, or all for `wide`; `namespaced` puts NAMESPACE first.
[[nodiscard]] std::vector<std::string> table_headers(const json& column_definitions, bool wide, bool namespaced);
[[nodiscard]] std::vector<std::string> table_row(const json& column_definitions, const json& row, bool wide, bool namespaced);

/// Block style YAML, keys in the given order, several lines as literal blocks. Ends with a newline.
[[nodiscard]] std::string to_yaml(const json& value, int indent = 0);
/// Indented JSON; bytes that are not UTF-8 are replaced.
[[nodiscard]] std::string to_text(const json& value, int indent = 2);
/// The text with every line moved to the right.
[[nodiscard]] std::string indented(const std::string& text, std::size_t by);
/// Control characters of a stranger's text are made harmless for terminals.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace veranda::cli
