#include "tools/veranda/output.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <ostream>

namespace veranda::cli {
namespace {

constexpr std::size_t gap = 3;

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string capitals(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

bool shown(const json& column, bool wide) { return wide || column.value("priority", 0) == 0; }

std::string metadata_text(const json& row, const char* field) {
  const auto object = row.find("object");
  if (object == row.end() || !object->is_object() || !object->contains("metadata") || !(*object)["metadata"].is_object())
    return {};
  const auto& metadata = (*object)["metadata"];
  const auto found = metadata.find(field);
  return found != metadata.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

/// True when a plain scalar would be read as something else than this text.
bool needs_quotes(const std::string& s) {
  static const std::vector<std::string> words{"true", "false", "null", "yes", "no", "on", "off", "~", "y", "n"};
  if (s.empty() || s.front() == ' ' || s.back() == ' ' || s.back() == ':')
    return true;
  std::string low = s;
  std::transform(low.begin(), low.end(), low.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (std::find(words.begin(), words.end(), low) != words.end())
    return true;
  const auto first = static_cast<unsigned char>(s.front());
  if (std::isalpha(first) == 0 && first != '/' && first != '_')
    return true; // numbers, times and every indicator
  return s.find(": ") != std::string::npos || s.find(" #") != std::string::npos ||
         std::any_of(s.begin(), s.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

bool fits_literal(const std::string& s) {
  return s.find('\n') != std::string::npos && s.front() != ' ' && s.front() != '\n' &&
         std::none_of(s.begin(), s.end(), [](unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F; });
}

std::string literal_block(const std::string& s, int indent) {
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  std::string out = s.back() != '\n' ? "|-\n" : s.ends_with("\n\n") ? "|+\n" : "|\n";
  std::size_t at = 0;
  while (at < s.size()) {
    const auto end = std::min(s.find('\n', at), s.size());
    if (end > at)
      (out += pad).append(s, at, end - at);
    out += '\n';
    at = end + 1;
  }
  return out;
}

std::string scalar(const json& v, int indent) {
  if (!v.is_string())
    return v.dump() + "\n";
  const auto text = v.get<std::string>();
  if (fits_literal(text))
    return literal_block(text, indent);
  return (needs_quotes(text) ? v.dump(-1, ' ', false, json::error_handler_t::replace) : text) + "\n";
}

std::string key_text(const std::string& key) { return needs_quotes(key) ? json(key).dump() : key; }

bool is_block(const json& v) { return (v.is_object() || v.is_array()) && !v.empty(); }

} // namespace

void text_table::print(std::ostream& out) {
  widths_.resize(headers_.size());
  for (std::size_t i = 0; i < headers_.size(); ++i)
    widths_[i] = std::max(widths_[i], characters(headers_[i]));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i)
      widths_[i] = std::max(widths_[i], characters(row[i]));
  const auto line = [&](const std::vector<std::string>& row) {
    std::string text;
    for (std::size_t i = 0; i < row.size() && i < widths_.size(); ++i) {
      text += row[i];
      if (i + 1 < widths_.size())
        text.append(widths_[i] + gap - characters(row[i]), ' ');
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out << text << '\n';
  };
  if (!headers_printed_ && !rows_.empty()) {
    line(headers_);
    headers_printed_ = true;
  }
  for (const auto& row : rows_)
    line(row);
  rows_.clear();
  out.flush();
}

std::string cell_text(const json& cell) {
  if (cell.is_null())
    return {};
  if (!cell.is_string())
    return cell.dump();
  auto text = printable(cell.get<std::string>());
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::vector<std::string> table_headers(const json& column_definitions, bool wide, bool namespaced) {
  std::vector<std::string> out;
  if (namespaced)
    out.emplace_back("NAMESPACE");
  for (const auto& c : column_definitions)
    if (shown(c, wide))
      out.push_back(capitals(c.value("name", "")));
  return out;
}

std::vector<std::string> table_row(const json& column_definitions, const json& row, bool wide, bool namespaced) {
  std::vector<std::string> out;
  if (namespaced)
    out.push_back(metadata_text(row, "namespace"));
  const auto cells = row.find("cells");
  for (std::size_t i = 0; cells != row.end() && i < column_definitions.size() && i < cells->size(); ++i)
    if (shown(column_definitions[i], wide))
      out.push_back(cell_text((*cells)[i]));
  return out;
}

std::string to_yaml(const json& value, int indent) {
  const std::string pad(static_cast<std::size_t>(indent), ' ');
  std::string out;
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, v] : value.items()) {
      out += pad + key_text(key) + ":";
      out += is_block(v) ? "\n" + to_yaml(v, v.is_array() ? indent : indent + 2) : " " + scalar(v, indent + 2);
    }
    return out;
  }
  if (value.is_array() && !value.empty()) {
    for (const auto& v : value) {
      out += pad + "- ";
      out += is_block(v) ? to_yaml(v, indent + 2).substr(static_cast<std::size_t>(indent) + 2) : scalar(v, indent + 2);
    }
    return out;
  }
  return pad + scalar(value, indent);
}

std::string to_text(const json& value, int indent) { return value.dump(indent, ' ', false, json::error_handler_t::replace); }

std::string indented(const std::string& text, std::size_t by) {
  const std::string pad(by, ' ');
  std::string out = pad;
  for (const char c : text)
    (out += c) += c == '\n' ? pad : "";
  return out;
}

std::string human_bytes(double count) {
  static constexpr std::array units{"B", "Ki", "Mi", "Gi", "Ti"};
  std::size_t unit = 0;
  for (; count >= 1024 && unit + 1 < units.size(); ++unit)
    count /= 1024;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", unit == 0 || count >= 100 ? 0 : 1, count);
  return text + std::string{units[unit]};
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    out += (u < 0x20 && c != '\n' && c != '\t') || u == 0x7F ? '?' : c;
  }
  return out;
}

} // namespace veranda::cli
