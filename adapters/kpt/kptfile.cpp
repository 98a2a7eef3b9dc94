#include "adapters/kpt/kptfile.hpp"

#include "actors/logic/discovery/text.hpp"
#include "adapters/kpt/schema.hpp"

#include <yaml.h>

#include <algorithm>
#include <set>
#include <vector>

namespace veranda::kpt {

namespace {

/// Longest part of a file that is quoted in a problem.
constexpr std::size_t max_quoted_bytes = 64;
/// What a value that is kept takes besides its text.
constexpr std::size_t bytes_beside = 32;

std::string quoted(std::string_view text) {
  std::string out = "`" + logic::printable(text.substr(0, max_quoted_bytes));
  return out += text.size() > max_quoted_bytes ? "...`" : "`";
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> choices) {
  return std::find(choices.begin(), choices.end(), text) != choices.end();
}

bool is_integer(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+'))
    text.remove_prefix(1);
  return !text.empty() && text.size() < 19 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class yaml_event {
public:
  yaml_event() = default;
  yaml_event(const yaml_event&) = delete;
  yaml_event& operator=(const yaml_event&) = delete;
  ~yaml_event() { yaml_event_delete(&raw); }
  yaml_event_t raw{};
};

class yaml_parser {
public:
  explicit yaml_parser(std::string_view text) {
    if (yaml_parser_initialize(&raw) == 0)
      throw std::bad_alloc{};
    yaml_parser_set_encoding(&raw, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&raw, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  yaml_parser(const yaml_parser&) = delete;
  yaml_parser& operator=(const yaml_parser&) = delete;
  ~yaml_parser() { yaml_parser_delete(&raw); }
  yaml_parser_t raw{};
};

/// A scalar, with what its text means.
struct scalar {
  std::string_view text;
  bool is_plain = false;
  [[nodiscard]] bool is_null() const { return is_plain && is_one_of(text, {"", "~", "null", "Null", "NULL"}); }
};

/// Takes events one by one; a frame for each open mapping or list.
class kptfile_builder {
public:
  /// False at the end of the document and when a problem was found.
  bool take(const yaml_event_t& event) {
    line_ = event.start_mark.line + 1;
    switch (event.type) {
    case YAML_SCALAR_EVENT:
      return on_scalar(event);
    case YAML_ALIAS_EVENT:
      return on_alias(event);
    case YAML_MAPPING_START_EVENT:
      return open(true);
    case YAML_SEQUENCE_START_EVENT:
      return open(false);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
      frames_.pop_back();
      return true;
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT:
      return false;
    default:
      return true;
    }
  }

  kptfile_facts finish() {
    if (problem_.empty())
      check_whole();
    if (!problem_.empty())
      return {problem_, {}, {}, {}, {}, {}};
    return std::move(facts_);
  }

  bool fail(std::string what) {
    problem_ = "line " + std::to_string(line_) + ": " + std::move(what);
    return false;
  }

private:
  static inline const std::string too_much = "labels, annotations, gates, conditions and the upstream lock take more than " + std::to_string(max_kept_bytes) + " bytes";

  struct frame {
    value_kind kind = value_kind::anything; ///< `object`, `text_map`, or the list kinds
    const shape* of = nullptr;
    keep what = keep::nothing;
    bool in_list = false;         ///< a list: its items have `kind` without the list
    const field* next = nullptr;  ///< of an object: the field whose value comes next
    bool has_key = false;         ///< of a mapping: a key was read
    std::string key;              ///< of a text map
    std::set<std::string> keys{}; ///< of a text map
    std::uint64_t seen = 0;       ///< of an object: fields read so far
  };

  /// What is expected where the next value stands.
  struct expectation {
    value_kind kind;
    const shape* of = nullptr;
    keep what = keep::nothing;
    std::string_view name;
  };

  expectation expected() const {
    if (frames_.empty())
      return {value_kind::object, &kptfile_shape(), keep::nothing, "the Kptfile"};
    const frame& f = frames_.back();
    if (f.in_list)
      return {f.kind == value_kind::object_list ? value_kind::object : f.kind == value_kind::text_list ? value_kind::text : f.kind, f.of, f.what, "a list item"};
    if (f.kind == value_kind::object)
      return {f.next->kind, f.next->of, f.next->what, f.next->name};
    if (f.kind == value_kind::text_map)
      return {value_kind::text, nullptr, f.what, f.key};
    return {value_kind::anything, nullptr, keep::nothing, {}};
  }

  /// True when a key, not a value, comes next.
  bool expects_key() const { return !frames_.empty() && !frames_.back().in_list && !frames_.back().has_key; }

  /// Counts what is to be kept: an alias is a few bytes, and may stand for many.
  bool may_keep(keep what, std::size_t bytes) {
    if (what != keep::nothing)
      kept_bytes_ += bytes + bytes_beside;
    return kept_bytes_ <= max_kept_bytes;
  }

  /// Marks the value of the current key as read.
  void value_taken() {
    if (!frames_.empty())
      frames_.back().has_key = false;
  }

  bool open(bool mapping) {
    if (frames_.size() == max_kptfile_depth)
      return fail("is nested deeper than " + std::to_string(max_kptfile_depth) + " levels");
    if (expects_key())
      return fail("a field's name must be a text");
    const expectation e = expected();
    const bool list = e.kind == value_kind::text_list || e.kind == value_kind::object_list;
    const bool map = e.kind == value_kind::object || e.kind == value_kind::text_map;
    if (e.kind != value_kind::anything && (mapping ? !map : !list))
      return fail(quoted(e.name) + (map ? " must be a mapping" : list ? " must be a list" : " must be a single value"));
    value_taken();
    frame f;
    f.kind = e.kind;
    f.of = e.of;
    f.what = e.what;
    f.in_list = !mapping;
    if (mapping && !may_keep(e.what, 0))
      return fail(too_much);
    if (mapping && e.what == keep::lock)
      facts_.upstream_lock.emplace();
    if (mapping && e.what == keep::condition)
      facts_.conditions.emplace_back();
    if (mapping && e.what == keep::gate)
      facts_.readiness_gates.emplace_back();
    frames_.push_back(std::move(f));
    return true;
  }

  bool on_key(std::string_view name) {
    frame& f = frames_.back();
    f.has_key = true;
    if (f.kind == value_kind::text_map) {
      if (!may_keep(f.what, name.size()))
        return fail(too_much);
      f.key = name;
      return f.keys.insert(f.key).second || fail("the name " + quoted(name) + " is there twice");
    }
    if (f.kind != value_kind::object)
      return true;
    const auto at = std::find_if(f.of->fields.begin(), f.of->fields.end(), [&](const field& x) { return x.name == name; });
    if (at == f.of->fields.end())
      return fail("unknown field " + quoted(name));
    const std::uint64_t bit = std::uint64_t{1} << static_cast<unsigned>(at - f.of->fields.begin());
    if ((f.seen & bit) != 0)
      return fail("the field " + quoted(name) + " is there twice");
    f.seen |= bit;
    f.next = &*at;
    return true;
  }

  bool on_scalar(const yaml_event_t& event) {
    const auto& s = event.data.scalar;
    const scalar value{{reinterpret_cast<const char*>(s.value), s.length}, s.style == YAML_PLAIN_SCALAR_STYLE && s.tag == nullptr};
    if (s.anchor != nullptr) {
      if (anchors_.size() == max_kptfile_anchors)
        return fail("has more than " + std::to_string(max_kptfile_anchors) + " anchors");
      anchors_.insert_or_assign(reinterpret_cast<const char*>(s.anchor), std::pair{std::string{value.text}, value.is_plain});
    }
    return take_scalar(value);
  }

  bool on_alias(const yaml_event_t& event) {
    const std::string name{reinterpret_cast<const char*>(event.data.alias.anchor)};
    const auto at = anchors_.find(name);
    if (at == anchors_.end())
      return fail("the alias " + quoted(name) + " stands for no single value");
    return take_scalar({at->second.first, at->second.second});
  }

  bool take_scalar(const scalar& value) {
    if (value.text.find('\0') != std::string_view::npos)
      return fail("contains a NUL character");
    if (expects_key())
      return on_key(value.text);
    const expectation e = expected();
    if (!may_keep(e.what, value.text.size()))
      return fail(too_much);
    if (value.is_null()) {
      if (frames_.empty())
        return fail("is empty");
      keep_null(e);
      value_taken();
      return true;
    }
    if (e.kind == value_kind::boolean && !is_one_of(value.text, {"true", "True", "TRUE", "false", "False", "FALSE"}))
      return fail(quoted(e.name) + " must be true or false");
    if (e.kind == value_kind::integer && !is_integer(value.text))
      return fail(quoted(e.name) + " must be a whole number");
    if (is_one_of_collections(e.kind))
      return fail(quoted(e.name) + " must be a " + (e.kind == value_kind::object || e.kind == value_kind::text_map ? "mapping" : "list"));
    keep_text(e.what, value.text);
    value_taken();
    return problem_.empty();
  }

  static bool is_one_of_collections(value_kind k) {
    return k == value_kind::object || k == value_kind::text_map || k == value_kind::text_list || k == value_kind::object_list;
  }

  /// An empty value: a map's name is kept with an empty text, a list's object is one without fields, everything else is as if absent.
  void keep_null(const expectation& e) {
    if (e.what == keep::labels || e.what == keep::annotations) {
      if (e.kind == value_kind::text)
        keep_text(e.what, {});
    } else if (frames_.back().in_list && e.what == keep::condition) {
      facts_.conditions.emplace_back();
    } else if (frames_.back().in_list && e.what == keep::gate) {
      facts_.readiness_gates.emplace_back();
    }
  }

  void keep_text(keep what, std::string_view text) {
    switch (what) {
    case keep::api_version:
      api_version_ = text;
      break;
    case keep::kind:
      kind_ = text;
      break;
    case keep::labels:
      facts_.labels.insert_or_assign(frames_.back().key, std::string{text});
      break;
    case keep::annotations:
      facts_.annotations.insert_or_assign(frames_.back().key, std::string{text});
      break;
    case keep::lock_repo:
      facts_.upstream_lock->repo = text;
      break;
    case keep::lock_directory:
      facts_.upstream_lock->directory = text;
      break;
    case keep::lock_ref:
      facts_.upstream_lock->ref = text;
      break;
    case keep::lock_commit:
      facts_.upstream_lock->commit = text;
      break;
    case keep::gate_type:
      facts_.readiness_gates.back() = text;
      break;
    case keep::condition_type:
      facts_.conditions.back().type = text;
      break;
    case keep::condition_status:
      facts_.conditions.back().status = text;
      break;
    case keep::condition_reason:
      facts_.conditions.back().reason = text;
      break;
    case keep::condition_message:
      facts_.conditions.back().message = text;
      break;
    default:
      break;
    }
  }

  void check_whole() {
    if (api_version_.empty() && kind_.empty())
      problem_ = "has no apiVersion and no kind";
    else if (kind_ != "Kptfile")
      problem_ = "the kind is " + quoted(kind_) + ", not `Kptfile`";
    else if (api_version_ == "kpt.dev/v1alpha1" || api_version_ == "kpt.dev/v1alpha2")
      problem_ = "the apiVersion " + quoted(api_version_) + " is deprecated; only `kpt.dev/v1` is supported";
    else if (api_version_ != "kpt.dev/v1")
      problem_ = "the apiVersion is " + quoted(api_version_) + ", not `kpt.dev/v1`";
    for (const package_condition& c : facts_.conditions)
      if (problem_.empty() && !is_one_of(c.status, {"True", "False", "Unknown"}))
        problem_ = "the status of the condition " + quoted(c.type) + " must be True, False or Unknown";
  }

  kptfile_facts facts_;
  std::size_t kept_bytes_ = 0;
  std::string problem_;
  std::string api_version_;
  std::string kind_;
  std::vector<frame> frames_;
  std::map<std::string, std::pair<std::string, bool>> anchors_;
  std::size_t line_ = 0;
};

} // namespace

kptfile_facts decode_kptfile(std::string_view text) {
  const auto refused = [](std::string why) { return kptfile_facts{std::move(why), {}, {}, {}, {}, {}}; };
  if (text.size() > max_kptfile_bytes)
    return refused("is larger than " + std::to_string(max_kptfile_bytes) + " bytes");
  if (text.find('\0') != std::string_view::npos)
    return refused("contains a NUL character");
  if (!logic::is_utf8(text))
    return refused("is not valid UTF-8");
  yaml_parser parser{text};
  kptfile_builder builder;
  while (true) {
    yaml_event event;
    if (yaml_parser_parse(&parser.raw, &event.raw) == 0) {
      const std::size_t line = parser.raw.problem_mark.line + 1;
      return refused("line " + std::to_string(line) + ": is not valid YAML: " + (parser.raw.problem == nullptr ? "unknown problem" : parser.raw.problem));
    }
    if (!builder.take(event.raw))
      return builder.finish();
  }
}

} // namespace veranda::kpt
