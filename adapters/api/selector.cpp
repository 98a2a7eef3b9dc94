#include "adapters/api/selector.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

namespace veranda::api {
namespace {

constexpr std::size_t max_requirements = 100;
constexpr std::size_t max_values = 10'000;

failure broken(std::string what) { return failure{ec::invalid_spec, std::move(what), {}, {}, {}}; }

/// Cuts a label selector into words and punctuation.
class scanner {
public:
  explicit scanner(std::string_view text) : text_(text) {}

  /// Empty at the end.
  std::string take() {
    skip_space();
    if (text_.empty())
      return {};
    for (const std::string_view mark : {"==", "!=", "=", "!", ",", "(", ")"}) {
      if (text_.starts_with(mark)) {
        text_.remove_prefix(mark.size());
        return std::string{mark};
      }
    }
    std::size_t n = 0;
    while (n < text_.size() && !is_mark(text_[n]) && !is_space(text_[n]))
      ++n;
    std::string word{text_.substr(0, n)};
    text_.remove_prefix(n);
    return word;
  }
  std::string peek() {
    scanner copy = *this;
    return copy.take();
  }
  static bool is_word(const std::string& token) { return !token.empty() && !is_mark(token[0]); }

private:
  static bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }
  static bool is_mark(char c) { return c == '=' || c == '!' || c == ',' || c == '(' || c == ')'; }
  void skip_space() {
    while (!text_.empty() && is_space(text_.front()))
      text_.remove_prefix(1);
  }
  std::string_view text_;
};

bool valid_label_text(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/'; });
}

/// `(a, b)`; an empty value is allowed, as in `in (a,)`.
std::optional<failure> parse_values(scanner& in, requirement& r) {
  if (in.take() != "(")
    return broken("unable to parse requirement: found '" + in.peek() + "', expected: '('");
  while (r.values.size() <= max_values) {
    auto token = in.take();
    std::string value;
    if (scanner::is_word(token)) {
      value = std::move(token);
      token = in.take();
    }
    r.values.insert(std::move(value));
    if (token == ")")
      return std::nullopt;
    if (token != ",")
      return broken("unable to parse requirement: found '" + token + "', expected: ',' or ')'");
  }
  return broken("unable to parse requirement: too many values");
}

std::optional<failure> parse_comparison(scanner& in, requirement& r) {
  const auto op = in.peek();
  if (op.empty() || op == ",") {
    r.op = requirement::operation::exists;
    return std::nullopt;
  }
  in.take();
  if (op == "in" || op == "notin") {
    r.op = op == "in" ? requirement::operation::in : requirement::operation::not_in;
    return parse_values(in, r);
  }
  if (op != "=" && op != "==" && op != "!=")
    return broken("unable to parse requirement: found '" + op + "', expected: in, notin, =, ==, !=");
  r.op = op == "!=" ? requirement::operation::not_in : requirement::operation::in;
  r.values.insert(scanner::is_word(in.peek()) ? in.take() : std::string{});
  return std::nullopt;
}

std::optional<failure> check_label(const requirement& r) {
  if (!valid_label_text(r.key))
    return broken("unable to parse requirement: <nil>: Invalid value: \"" + r.key + "\": not a valid label key");
  for (const auto& v : r.values)
    if (v.size() > 63 || v.find('/') != std::string::npos || !valid_label_text(v))
      return broken("unable to parse requirement: values[0][" + r.key + "]: Invalid value: \"" + v + "\": not a valid label value");
  return std::nullopt;
}

struct field_term {
  std::string key;
  std::string op;
  std::string value;
};

/// The operator that `text` starts with, or empty.
std::string_view leading_operator(std::string_view text) {
  for (const std::string_view op : {"!=", "==", "="})
    if (text.starts_with(op))
      return op;
  return {};
}

/// Takes one term and the `,` behind it.
result<field_term> take_field_term(std::string_view& text) {
  field_term term;
  while (!text.empty() && text.front() != ',') {
    auto& into = term.op.empty() ? term.key : term.value;
    if (text.front() == '\\') {
      if (text.size() < 2 || (text[1] != ',' && text[1] != '=' && text[1] != '\\'))
        return broken("invalid field selector: invalid escape sequence");
      into.push_back(text[1]);
      text.remove_prefix(2);
    } else if (const auto op = leading_operator(text); !op.empty() && term.op.empty()) {
      term.op = op;
      text.remove_prefix(op.size());
    } else if (text.front() == '=') {
      return broken("invalid field selector: an = within a value must be escaped");
    } else {
      into.push_back(text.front());
      text.remove_prefix(1);
    }
  }
  if (!text.empty())
    text.remove_prefix(1);
  return term;
}

} // namespace

bool selector::matches(const attribute_map& attributes) const {
  return std::all_of(requirements.begin(), requirements.end(), [&](const requirement& r) {
    const auto found = attributes.find(r.key);
    const bool present = found != attributes.end();
    switch (r.op) {
    case requirement::operation::exists:
      return present;
    case requirement::operation::absent:
      return !present;
    case requirement::operation::in:
      return present && r.values.contains(found->second);
    case requirement::operation::not_in:
      return !present || !r.values.contains(found->second);
    }
    return false;
  });
}

std::string selector::pinned(std::string_view key) const {
  for (const auto& r : requirements)
    if (r.key == key && r.op == requirement::operation::in && r.values.size() == 1)
      return *r.values.begin();
  return {};
}

bool selector::mentions(std::string_view key) const {
  return std::any_of(requirements.begin(), requirements.end(), [&](const requirement& r) { return r.key == key; });
}

result<selector> parse_label_selector(std::string_view text) {
  selector out;
  scanner in{text};
  while (!in.peek().empty()) {
    requirement r;
    const bool negated = in.peek() == "!";
    if (negated)
      in.take();
    r.key = in.take();
    if (!scanner::is_word(r.key))
      return broken("unable to parse requirement: found '" + r.key + "', expected: !, identifier, or 'end of string'");
    if (negated)
      r.op = requirement::operation::absent;
    else if (auto problem = parse_comparison(in, r))
      return *problem;
    if (auto problem = check_label(r))
      return *problem;
    out.requirements.push_back(std::move(r));
    const auto separator = in.take();
    if (separator.empty())
      break;
    if (separator != ",")
      return broken("unable to parse requirement: found '" + separator + "', expected: ',' or 'end of string'");
    if (in.peek().empty())
      return broken("unable to parse requirement: found '', expected: identifier after ','");
    if (out.requirements.size() == max_requirements)
      return broken("unable to parse requirement: too many requirements");
  }
  return out;
}

result<selector> parse_field_selector(std::string_view text, const std::vector<std::string_view>& known) {
  selector out;
  while (!text.empty()) {
    auto term = take_field_term(text);
    if (!term)
      return term.error();
    if (term->key.empty() && term->op.empty())
      continue;
    if (term->op.empty())
      return broken("invalid selector: '" + term->key + "'; can't understand '" + term->key + "'");
    if (std::find(known.begin(), known.end(), term->key) == known.end())
      return broken("field label not supported: " + term->key);
    requirement r;
    r.key = std::move(term->key);
    r.op = term->op == "!=" ? requirement::operation::not_in : requirement::operation::in;
    r.values.insert(std::move(term->value));
    out.requirements.push_back(std::move(r));
    if (out.requirements.size() == max_requirements)
      return broken("invalid selector: too many terms");
  }
  return out;
}

} // namespace veranda::api
