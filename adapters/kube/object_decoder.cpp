#include "adapters/kube/object_decoder.hpp"

#include "adapters/codec/json_writer.hpp"
#include "adapters/codec/names.hpp"
#include "adapters/kube/api_answer.hpp"

#include <simdjson.h>

namespace veranda::kube {

namespace {

namespace od = simdjson::ondemand;

constexpr std::size_t max_identity_bytes = 512; ///< of a name, a uid or a version
constexpr std::size_t max_token_bytes = 64U << 10U;

simdjson::padded_string_view padded(std::string& text) {
  text.reserve(text.size() + simdjson::SIMDJSON_PADDING);
  return simdjson::padded_string_view{text.data(), text.size(), text.capacity()};
}

/// Refuses a document that goes on after its end.
void require_end(simdjson::simdjson_result<od::document>& document) {
  const char* more = nullptr;
  if (document.current_location().get(more) == simdjson::SUCCESS) throw simdjson::simdjson_error{simdjson::TAPE_ERROR};
}

/// A member that should be text; empty when it is something else.
std::string text_of(od::value value, std::size_t limit = max_identity_bytes) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS || text.size() > limit) return {};
  return std::string{text};
}

std::int64_t number_of(od::value value) {
  std::int64_t number = 0;
  return value.get_int64().get(number) == simdjson::SUCCESS ? number : 0;
}

std::string_view trimmed(std::string_view json) {
  const auto end = json.find_last_not_of(" \t\r\n");
  return json.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

/// The JSON text of a value, whatever it is.
std::string_view raw(od::value value) { return trimmed(simdjson::to_json_string(value).value()); }

void read_identity(od::object metadata, api_object& out) {
  for (auto field : metadata) {
    const std::string_view name = field.unescaped_key();
    if (name == "name") out.key.name = text_of(field.value());
    else if (name == "namespace") out.key.ns = text_of(field.value());
    else if (name == "uid") out.uid = text_of(field.value());
    else if (name == "resourceVersion") out.resource_version = text_of(field.value());
    else if (name == "generation") out.generation = number_of(field.value());
  }
}

failure broken(std::string what) { return {ec::invalid_spec, std::move(what), {}, {}, {}}; }

} // namespace

struct object_decoder::impl {
  impl(std::string of_kind, std::string of_version, const decoder_limits& with) : kind(std::move(of_kind)), api_version(std::move(of_version)), limits(with) {}

  std::string kind;
  std::string api_version;
  decoder_limits limits;
  od::parser outer;
  od::parser inner;
  std::string seen_kind; ///< of the object read last; empty when it does not say

  /// What a text says of itself before it is known what it is.
  struct envelope {
    std::string kind;
    std::string resource_version;
    std::string continue_token;
    std::vector<std::string_view> items;
    bool has_items = false;
  };

  /// The object in `text`, never a failure: what cannot be read is its problem.
  api_object read(std::string_view text) {
    api_object out;
    seen_kind.clear();
    try {
      std::string copy{text};
      auto document = inner.iterate(padded(copy));
      for (auto field : document.get_object()) {
        const std::string_view name = field.unescaped_key();
        if (name == "kind") seen_kind = text_of(field.value());
        else if (name == "metadata") read_identity(field.value().get_object(), out);
      }
    } catch (const simdjson::simdjson_error&) {
      out.problem = broken("the object cannot be read: it is not well-formed");
    }
    if (!codec::usable_name(out.key.name)) {
      out.key.name.clear();
      out.problem = broken("an object without a usable name");
    }
    if (text.size() > limits.max_object_bytes) {
      out.problem = failure{ec::too_large, "the object is larger than the " + std::to_string(limits.max_object_bytes) + " bytes allowed", {}, {}, {}};
      return out;
    }
    if (limits.identity_only) return out;
    if (seen_kind.empty() && text.starts_with('{')) {
      codec::json_writer json{out.json};
      json.begin_object().key("apiVersion").text(api_version).key("kind").text(kind);
      const auto rest = text.find_first_not_of(" \t\r\n", 1);
      if (rest != std::string_view::npos) (out.json += text[rest] == '}' ? "" : ",").append(text.substr(rest));
    } else {
      out.json = text;
    }
    return out;
  }

  envelope open(std::string& body) {
    envelope out;
    auto document = outer.iterate(padded(body));
    for (auto field : document.get_object()) {
      const std::string_view name = field.unescaped_key();
      if (name == "kind") out.kind = text_of(field.value());
      else if (name == "metadata") read_list_metadata(field.value(), out);
      else if (name == "items") read_items(field.value(), out);
    }
    require_end(document);
    return out;
  }

  static void read_list_metadata(od::value value, envelope& out) {
    od::object metadata;
    if (value.get_object().get(metadata) != simdjson::SUCCESS) return;
    for (auto field : metadata) {
      const std::string_view name = field.unescaped_key();
      if (name == "resourceVersion") out.resource_version = text_of(field.value());
      else if (name == "continue") out.continue_token = text_of(field.value(), max_token_bytes);
    }
  }

  static void read_items(od::value value, envelope& out) {
    out.has_items = true;
    if (value.type() != od::json_type::array) return; // null: an empty list of Go
    for (auto item : value.get_array()) out.items.push_back(raw(item.value()));
  }
};

object_decoder::object_decoder(std::string kind, std::string api_version, const decoder_limits& limits)
    : impl_(std::make_unique<impl>(std::move(kind), std::move(api_version), limits)) {}
object_decoder::~object_decoder() = default;
object_decoder::object_decoder(object_decoder&&) noexcept = default;
object_decoder& object_decoder::operator=(object_decoder&&) noexcept = default;

result<api_list_page> object_decoder::list(std::string body) {
  try {
    if (!codec::valid_utf8(body)) body = codec::to_valid_utf8(body); // one bad string must not cost the page
    const auto found = impl_->open(body);
    if (found.kind == "Status")
      if (const auto status = parse_status(body)) return from_status(*status, impl_->kind);
    if (!found.has_items || (!found.kind.empty() && found.kind != impl_->kind + "List"))
      return failure{ec::unsupported, "the answer is not a list of " + impl_->kind + " objects", {}, {}, {}};
    api_list_page out{found.resource_version, found.continue_token, {}};
    out.items.reserve(found.items.size());
    for (const auto item : found.items) out.items.push_back(impl_->read(item));
    return out;
  } catch (const simdjson::simdjson_error&) {
    return failure{ec::unavailable, "the list of " + impl_->kind + " objects is not whole, or not JSON", {}, {}, {}};
  }
}

result<api_object> object_decoder::object(std::string body) {
  try {
    if (!codec::valid_utf8(body)) body = codec::to_valid_utf8(body);
    const auto found = impl_->open(body);
    if (!found.kind.empty() && found.kind != impl_->kind) return failure{ec::unsupported, "the answer is not a " + impl_->kind, {}, {}, {}};
    auto out = impl_->read(trimmed(body));
    if (out.key.name.empty()) return failure{ec::unsupported, "the answer is not a " + impl_->kind + ": it has no name", {}, {}, {}};
    return out;
  } catch (const simdjson::simdjson_error&) {
    return failure{ec::unavailable, "the " + impl_->kind + " in the answer is not whole, or not JSON", {}, {}, {}};
  }
}

result<std::optional<api_event>> object_decoder::event(std::string line) {
  try {
    if (!codec::valid_utf8(line)) line = codec::to_valid_utf8(line);
    std::string type;
    std::string_view object;
    auto document = impl_->outer.iterate(padded(line));
    for (auto field : document.get_object()) {
      const std::string_view name = field.unescaped_key();
      if (name == "type") type = text_of(field.value());
      else if (name == "object") object = raw(field.value());
    }
    require_end(document);
    if (type.empty() || object.empty()) return failure{ec::unavailable, "a line of the watch is no event", impl_->kind, {}, {}};
    if (type == "ERROR") {
      const auto status = parse_status(object);
      return std::optional<api_event>{{api_event_type::error, {}, status ? from_status(*status, impl_->kind) : failure{ec::unavailable, "the watch ended with an error", impl_->kind, {}, {}}}};
    }
    api_event out;
    if (type == "ADDED") out.type = api_event_type::added;
    else if (type == "MODIFIED") out.type = api_event_type::modified;
    else if (type == "DELETED") out.type = api_event_type::deleted;
    else if (type != "BOOKMARK") return std::optional<api_event>{};
    out.object = impl_->read(object);
    if (!impl_->seen_kind.empty() && impl_->seen_kind != impl_->kind) return std::optional<api_event>{};
    if (out.type == api_event_type::bookmark) out.object = {{}, {}, out.object.resource_version, 0, {}, {}};
    return std::optional{std::move(out)};
  } catch (const simdjson::simdjson_error&) {
    return failure{ec::unavailable, "a line of the watch is not JSON", impl_->kind, {}, {}};
  }
}

} // namespace veranda::kube
