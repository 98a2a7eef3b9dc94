#include "adapters/kpt/annotations.hpp"

#include <simdjson.h>

#include <optional>

namespace veranda::kpt {

namespace {

constexpr std::string_view line_prefix = "kpt:";
constexpr std::string_view blanks = " \t\r\v\f";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// A string, or nothing at all for `null`; false for any other type.
bool read_text(simdjson::dom::element value, std::string& out) {
  std::string_view text;
  if (value.is_null())
    return true;
  if (value.get(text) != simdjson::SUCCESS)
    return false;
  out = text;
  return true;
}

bool read_task(simdjson::dom::element value, logic::commit_annotation& out) {
  simdjson::dom::object task;
  if (value.is_null())
    return true;
  if (value.get(task) != simdjson::SUCCESS)
    return false;
  for (const auto field : task)
    if (field.key == "type" && !read_text(field.value, out.task_type))
      return false;
  out.task_json = simdjson::minify(task);
  return true;
}

} // namespace

struct annotation_decoder::impl {
  simdjson::dom::parser parser{max_annotation_bytes};

  std::optional<logic::commit_annotation> decode(std::string_view json) {
    simdjson::dom::object fields;
    logic::commit_annotation out;
    if (json.size() > max_annotation_bytes || parser.parse(json.data(), json.size()).get(fields) != simdjson::SUCCESS)
      return std::nullopt;
    for (const auto field : fields) {
      bool good = true;
      if (field.key == "package")
        good = read_text(field.value, out.package);
      else if (field.key == "workspaceName")
        good = read_text(field.value, out.workspace);
      else if (field.key == "revision")
        good = read_text(field.value, out.revision);
      else if (field.key == "task")
        good = read_task(field.value, out);
      if (!good)
        return std::nullopt;
    }
    return out;
  }
};

annotation_decoder::annotation_decoder() : impl_(std::make_unique<impl>()) {}
annotation_decoder::~annotation_decoder() = default;

std::vector<logic::commit_annotation> annotation_decoder::decode(std::string_view message, std::size_t& dropped) {
  std::vector<logic::commit_annotation> out;
  while (!message.empty()) {
    const std::size_t end = message.find('\n');
    const std::string_view line = trimmed(message.substr(0, end));
    message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
    if (!line.starts_with(line_prefix))
      continue;
    auto annotation = out.size() < max_annotations ? impl_->decode(line.substr(line_prefix.size())) : std::nullopt;
    if (annotation)
      out.push_back(std::move(*annotation));
    else
      ++dropped;
  }
  return out;
}

} // namespace veranda::kpt
