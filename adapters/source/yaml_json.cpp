#include "adapters/source/yaml_json.hpp"

#include "adapters/source/json_builder.hpp"

#include <nlohmann/json.hpp>
#include <sstream>
#include <yaml.h>

namespace veranda::source {
namespace {

std::string_view view(const yaml_char_t* text) { return text == nullptr ? std::string_view{} : reinterpret_cast<const char*>(text); }

/// libyaml's parser over one piece of text.
class yaml_events {
public:
  explicit yaml_events(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0)
      throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  ~yaml_events() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  yaml_events(const yaml_events&) = delete;
  yaml_events& operator=(const yaml_events&) = delete;

  /// The next event, valid until the next call.
  const yaml_event_t& next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 0)
      throw document_error(parser_.error == YAML_READER_ERROR ? "is not valid UTF-8 text" : "is not valid YAML: " + problem());
    return event_;
  }
  /// Line of the current position within the piece, from 0.
  [[nodiscard]] std::size_t line() const { return parser_.error == YAML_NO_ERROR ? parser_.mark.line : parser_.problem_mark.line; }

private:
  /// libyaml's texts are constants: they quote nothing of the input.
  [[nodiscard]] std::string problem() const {
    std::string out = parser_.context == nullptr ? "" : std::string{parser_.context} + ", ";
    return out + (parser_.problem == nullptr ? "it cannot be read" : parser_.problem);
  }

  yaml_parser_t parser_{};
  yaml_event_t event_{};
};

yaml_scalar resolve(std::string text, std::string_view tag, bool plain) {
  if (tag == YAML_STR_TAG)
    return text;
  const bool core = tag == YAML_INT_TAG || tag == YAML_FLOAT_TAG || tag == YAML_BOOL_TAG || tag == YAML_NULL_TAG;
  if (core || (plain && tag.empty()))
    return resolve_plain(text);
  return text;
}

void add_scalar(json_builder& builder, const yaml_event_t& event) {
  const auto& s = event.data.scalar;
  const std::string text{reinterpret_cast<const char*>(s.value), s.length};
  const bool plain = s.style == YAML_PLAIN_SCALAR_STYLE;
  builder.scalar(resolve(text, view(s.tag), plain), text, view(s.anchor), plain && text == "<<");
}

/// Feeds one document to `builder`; false at the end of the stream.
bool read_document(yaml_events& events, json_builder& builder) {
  for (;;) {
    const yaml_event_t& event = events.next();
    switch (event.type) {
    case YAML_STREAM_END_EVENT: return false;
    case YAML_DOCUMENT_END_EVENT: return true;
    case YAML_SCALAR_EVENT: add_scalar(builder, event); break;
    case YAML_ALIAS_EVENT: builder.alias(std::string{view(event.data.alias.anchor)}); break;
    case YAML_SEQUENCE_START_EVENT: builder.begin_list(view(event.data.sequence_start.anchor)); break;
    case YAML_SEQUENCE_END_EVENT: builder.end_list(); break;
    case YAML_MAPPING_START_EVENT: builder.begin_map(view(event.data.mapping_start.anchor)); break;
    case YAML_MAPPING_END_EVENT: builder.end_map(); break;
    default: break;
    }
  }
}

struct piece {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t line = 0; ///< of its first line, from 1
};

bool blank_or_comment(std::string_view line) {
  const auto first = line.find_first_not_of(" \t\r");
  return first == std::string_view::npos || line[first] == '#';
}

bool separator(std::string_view line) { return line.starts_with("---") && (line.size() == 3 || std::string_view{" \t\r"}.find(line[3]) != std::string_view::npos); }

/// Pieces of the text that begin with a `---` line; directives (`%YAML`) belong to the piece they precede, a first piece without content to none.
std::vector<piece> split(std::string_view text) {
  std::vector<piece> out{{0, 0, 1}};
  std::optional<piece> directives; // where the blank, comment and directive lines before this one begin
  bool has_directive = false;
  bool first_has_content = false;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto newline = text.find('\n', begin);
    const std::size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
    const auto line = text.substr(begin, (newline == std::string_view::npos ? end : newline) - begin);
    ++number;
    const bool directive = line.starts_with('%');
    if (separator(line)) {
      const piece start = directives && has_directive ? *directives : piece{begin, begin, number};
      if (out.size() == 1 && !first_has_content)
        out.clear();
      else
        out.back().end = start.begin;
      out.push_back({out.empty() ? 0 : start.begin, start.begin, out.empty() ? 1 : start.line});
      first_has_content = true;
      directives.reset();
      has_directive = false;
    } else if (directive || blank_or_comment(line)) {
      if (!directives)
        directives = piece{begin, begin, number};
      has_directive = has_directive || directive;
    } else {
      first_has_content = true;
      directives.reset();
      has_directive = false;
    }
    begin = end;
  }
  out.back().end = text.size();
  return out;
}

std::string at_line(const char* what, std::size_t line) { return std::string{what} + " (line " + std::to_string(line) + ")"; }

void read_piece(std::string_view text, int number, std::size_t first_line, const manifest_limits& limits, node_budget& budget,
                std::vector<json_document>& out) {
  yaml_events events{text};
  try {
    for (bool more = true; more;) {
      json_builder builder{budget, limits.max_depth};
      more = read_document(events, builder);
      if (!builder.empty())
        out.push_back({number, builder.dump(), {}});
    }
  } catch (const document_error& e) {
    out.push_back({number, {}, at_line(e.what(), first_line + events.line())});
  }
}

/// nlohmann's parser events. It never recurses; errors end it.
struct json_events : nlohmann::json_sax<nlohmann::json> {
  explicit json_events(json_builder& b) : builder(b) {}
  json_builder& builder;

  bool value(yaml_scalar v, const std::string& text = {}) {
    builder.scalar(std::move(v), text, {}, false);
    return true;
  }
  bool null() override { return value(std::monostate{}); }
  bool boolean(bool v) override { return value(v); }
  bool number_integer(number_integer_t v) override { return value(v); }
  bool number_unsigned(number_unsigned_t v) override { return value(v); }
  bool number_float(number_float_t v, const string_t&) override { return value(v); }
  bool string(string_t& v) override { return value(v, v); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return builder.begin_map({}), true; }
  bool key(string_t& v) override { return value(v, v); }
  bool end_object() override { return builder.end_map(), true; }
  bool start_array(std::size_t) override { return builder.begin_list({}), true; }
  bool end_array() override { return builder.end_list(), true; }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }
};

/// JSON values that follow each other. A broken one ends the file: nothing says where the next begins.
std::vector<json_document> read_json(std::string_view text, const manifest_limits& limits) {
  std::vector<json_document> out;
  std::istringstream in{std::string{text}};
  node_budget budget{limits.max_nodes};
  for (int number = 1; in >> std::ws && in.peek() != std::char_traits<char>::eof(); ++number) {
    const auto broken = [&](const char* what) {
      in.clear();
      const auto at = std::min<std::size_t>(text.size(), static_cast<std::size_t>(std::max<std::streamoff>(in.tellg(), 0)));
      const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
      out.push_back({number, {}, at_line(what, static_cast<std::size_t>(line))});
    };
    try {
      json_builder builder{budget, limits.max_depth};
      json_events events{builder};
      if (!nlohmann::json::sax_parse(in, &events, nlohmann::json::input_format_t::json, false)) {
        broken("is not valid JSON");
        return out;
      }
      if (!builder.empty())
        out.push_back({number, builder.dump(), {}});
    } catch (const document_error& e) {
      broken(e.what());
      return out;
    }
  }
  return out;
}

} // namespace

std::vector<json_document> read_documents(std::string_view text, bool is_json, const manifest_limits& limits) {
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);
  if (text.find('\0') != std::string_view::npos)
    return {{1, {}, "is not text: it holds a NUL byte"}};
  if (is_json)
    return read_json(text, limits);
  std::vector<json_document> out;
  node_budget budget{limits.max_nodes};
  int number = 0;
  for (const piece& p : split(text)) {
    if (out.size() >= limits.max_documents) {
      out.push_back({number + 1, {}, "is one document too many"});
      break;
    }
    read_piece(text.substr(p.begin, p.end - p.begin), ++number, p.line, limits, budget, out);
  }
  return out;
}

} // namespace veranda::source
