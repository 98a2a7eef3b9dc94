#include "messages/model/repository.hpp"

namespace veranda {

std::string describe(const field_problem& p) {
  std::string text = p.field;
  if (!p.value.empty())
    text += (text.empty() ? "\"" : ": \"") + p.value + '"';
  if (!p.rule.empty())
    text += (text.empty() ? "" : ": ") + p.rule;
  return text;
}

} // namespace veranda
