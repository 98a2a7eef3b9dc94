#include "adapters/api/listing.hpp"

#include "adapters/api/status.hpp"

#include <nlohmann/json.hpp>

#include <atomic>

namespace veranda::api {
namespace {

using nlohmann::json;

constexpr std::size_t piece_bytes = 256U << 10U;
/// Rows of all listings under way: what bounds the memory of many slow clients.
constexpr std::size_t max_rows_in_flight = 1'000'000;
std::atomic<std::size_t> rows_in_flight{0};

/// What was found, and what the list's metadata says about it.
struct collected {
  std::vector<object_view> rows;
  std::int64_t position = 0;
  std::string continue_token;
  std::uint64_t remaining = 0; ///< 0: not known
  bool too_many = false;
};

/// Counts its rows against the bound while it lives.
class row_budget {
public:
  row_budget() = default;
  row_budget(const row_budget&) = delete;
  row_budget& operator=(const row_budget&) = delete;
  ~row_budget() { rows_in_flight -= held_; }
  bool take_one() {
    if (++rows_in_flight > max_rows_in_flight) {
      --rows_in_flight;
      return false;
    }
    ++held_;
    return true;
  }

private:
  std::size_t held_ = 0;
};

/// The body of a list, encoded piece by piece.
class list_body final : public body_stream {
public:
  list_body(view_request view, collected found, std::unique_ptr<row_budget> budget, reader_pool& readers)
      : view_(std::move(view)), found_(std::move(found)), budget_(std::move(budget)), readers_(readers) {}

  step next() override {
    step s;
    auto objects = open_collection(*view_.kind, readers_);
    if (!objects) {
      s.broken = true;
      return s;
    }
    if (!started_)
      s.data = head(**objects);
    const auto now = std::chrono::system_clock::now();
    for (; next_ < found_.rows.size() && s.data.size() < piece_bytes; ++next_) {
      if (!append(**objects, found_.rows[next_], now, s.data)) {
        s.broken = true;
        return s;
      }
      found_.rows[next_] = {};
    }
    s.done = next_ == found_.rows.size();
    if (s.done)
      s.data += "]}\n";
    return s;
  }

private:
  std::string head(collection& objects) {
    started_ = true;
    const bool table = view_.format.body == body_format::table;
    json metadata{{"resourceVersion", std::to_string(found_.position)}};
    if (!found_.continue_token.empty())
      metadata["continue"] = found_.continue_token;
    if (found_.remaining > 0)
      metadata["remainingItemCount"] = found_.remaining;
    std::string out = "{\"kind\":" + json_text(table ? "Table" : view_.kind->list_kind()) +
                      ",\"apiVersion\":" + json_text(table ? "meta.k8s.io/v1" : view_.kind->api_version()) + ",\"metadata\":" + metadata.dump();
    if (table)
      return out + ",\"columnDefinitions\":" + columns_json(objects.columns()) + ",\"rows\":[";
    return out + ",\"items\":[";
  }

  /// False on a failure that cannot be told any more. An object that went in the meantime is left out.
  bool append(collection& objects, const object_view& o, wall_time now, std::string& out) {
    const auto text =
        view_.format.body == body_format::table ? row_json(objects, o, view_.format.rows, now) : objects.encode(o);
    if (!text)
      return text.error().code == ec::not_found;
    if (any_)
      out += ',';
    any_ = true;
    out += *text;
    return true;
  }

  view_request view_;
  collected found_;
  std::unique_ptr<row_budget> budget_;
  reader_pool& readers_;
  std::size_t next_ = 0;
  bool started_ = false;
  bool any_ = false;
};

/// What is left behind a page. Nothing when a selector makes the count a guess, or when the count itself would be a listing.
result<std::uint64_t> count_rest(collection& objects, const view_request& view, const object_key& last) {
  if (!view.labels.empty() || !view.fields.empty())
    return std::uint64_t{0};
  auto rest = view.restrict_to;
  rest.after = last;
  const auto counted = objects.count(rest);
  if (!counted)
    return counted.error();
  return counted->value_or(0);
}

/// Collects the rows of one page: reads them, and one more to know whether there is another page.
result<collected> collect(collection& objects, const view_request& view, const page_request& page, row_budget& budget) {
  collected out;
  bool more = false;
  auto query = view.restrict_to;
  query.after = page.after;
  auto position = objects.list(query, [&](object_view&& o) {
    if (!view.selects(objects, o))
      return true;
    if (page.limit > 0 && out.rows.size() == page.limit) {
      more = true;
      return false;
    }
    if (!budget.take_one()) {
      out.too_many = true;
      return false;
    }
    out.rows.push_back(std::move(o));
    return true;
  });
  if (!position)
    return position.error();
  out.position = page.position > 0 ? page.position : *position;
  if (!more)
    return out;
  const auto& last = out.rows.back().key;
  out.continue_token = make_continue_token(out.position, last);
  const auto rest = count_rest(objects, view, last);
  if (!rest)
    return rest.error();
  out.remaining = *rest;
  return out;
}

std::optional<page_request> parse_page(const route& r, std::optional<reply>& problem) {
  page_request page;
  if (const auto token = r.param("continue"); !token.empty()) {
    const auto parsed = parse_continue_token(token);
    if (!parsed) {
      problem = status_reply(400, "BadRequest", "continue: Invalid value: the token was not made by this server");
      return std::nullopt;
    }
    page = *parsed;
    if (const auto rv = r.param("resourceVersion"); !rv.empty() && rv != "0") {
      problem = status_reply(400, "BadRequest", "resourceVersion: must be empty or 0 together with continue");
      return std::nullopt;
    }
  }
  if (const auto text = r.param("limit"); !text.empty()) {
    const auto limit = parse_number(text);
    if (!limit) {
      problem = status_reply(400, "BadRequest", "limit: must be a number");
      return std::nullopt;
    }
    page.limit = static_cast<std::uint64_t>(*limit);
  }
  return page;
}

/// What `resourceVersion` and `resourceVersionMatch` of a list ask for, judged against the position that was read.
std::optional<reply> check_position(const route& r, std::int64_t position) {
  const auto match = r.param("resourceVersionMatch");
  const auto text = r.param("resourceVersion");
  if (!match.empty() && (text.empty() || !r.param("continue").empty() || (match != "Exact" && match != "NotOlderThan") ||
                         (match == "Exact" && text == "0")))
    return status_reply(422, "Invalid", "resourceVersionMatch: needs a resourceVersion, no continue, and must be Exact or NotOlderThan");
  if (text.empty())
    return std::nullopt;
  const auto wanted = parse_number(text);
  if (!wanted)
    return status_reply(400, "BadRequest", "resourceVersion: Invalid value: must be a number of this server");
  if (*wanted > position)
    return status_reply(504, "Timeout", "Too large resource version: " + text + ", current: " + std::to_string(position), {},
                        {{"", "", "Too large resource version"}});
  if (match == "Exact" && *wanted != position)
    return status_reply(410, "Expired", "The provided resource version is not kept any more");
  return std::nullopt;
}

} // namespace

bool view_request::selects(collection& objects, const object_view& o) const {
  if (!restrict_to.ns.empty() && o.key.ns != restrict_to.ns)
    return false;
  if (labels.empty() && fields.empty())
    return true;
  const auto a = objects.attributes_of(o);
  return labels.matches(a.labels) && fields.matches(a.fields);
}

result<view_request> parse_view(const route& r, std::string_view accept) {
  view_request view;
  view.kind = r.kind;
  view.restrict_to.ns = r.ns;
  auto labels = parse_label_selector(r.param("labelSelector"));
  if (!labels)
    return labels.error();
  auto known = r.kind->selectable_fields;
  known.insert(known.end(), {"metadata.name", "metadata.namespace"});
  auto fields = parse_field_selector(r.param("fieldSelector"), known);
  if (!fields)
    return fields.error();
  const auto format = choose_format(accept, r.param("includeObject"));
  if (!format)
    return format.error();
  view.restrict_to.name = fields->pinned("metadata.name");
  view.restrict_to.repository = fields->pinned("spec.repository");
  if (view.restrict_to.ns.empty())
    view.restrict_to.ns = fields->pinned("metadata.namespace");
  view.labels = std::move(*labels);
  view.fields = std::move(*fields);
  view.format = *format;
  return view;
}

std::string make_continue_token(std::int64_t position, const object_key& after) {
  std::string bytes = "1 " + std::to_string(position) + " " + after.ns + "/" + after.name;
  std::string out;
  for (const char c : bytes) { // hexadecimal: opaque, and safe in a URL
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

std::optional<page_request> parse_continue_token(std::string_view token) {
  if (token.size() > 2048 || token.size() % 2 != 0)
    return std::nullopt;
  std::string escaped;
  for (std::size_t i = 0; i < token.size(); i += 2)
    (escaped += '%') += token.substr(i, 2);
  const auto bytes = percent_decode(escaped, false);
  if (!bytes || !bytes->starts_with("1 "))
    return std::nullopt;
  const auto space = bytes->find(' ', 2);
  const auto slash = bytes->find('/', 2);
  if (space == std::string::npos || slash == std::string::npos || slash < space)
    return std::nullopt;
  const auto position = parse_number(std::string_view{*bytes}.substr(2, space - 2));
  if (!position)
    return std::nullopt;
  page_request page;
  page.position = *position;
  page.after = {bytes->substr(space + 1, slash - space - 1), bytes->substr(slash + 1)};
  return page;
}

reply list_objects(const route& r, std::string_view accept, reader_pool& readers) {
  const status_subject about{r.kind, {}};
  auto view = parse_view(r, accept);
  if (!view)
    return status_reply(400, "BadRequest", view.error().what, about);
  if (r.flag("sendInitialEvents"))
    return status_reply(422, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list", about);
  std::optional<reply> problem;
  const auto page = parse_page(r, problem);
  if (!page)
    return std::move(*problem);
  auto objects = open_collection(*r.kind, readers);
  if (!objects)
    return failure_reply(objects.error(), about);
  if (page->position > 0)
    if (const auto still = (*objects)->changes_after(page->position, 1); !still)
      return failure_reply(still.error(), about);
  auto budget = std::make_unique<row_budget>();
  auto found = collect(**objects, *view, *page, *budget);
  if (!found)
    return failure_reply(found.error(), about);
  if (found->too_many)
    return status_reply(429, "TooManyRequests", "too many large lists are under way; use limit, or try again", about);
  if (auto bad = check_position(r, found->position))
    return std::move(*bad);
  objects->reset(); // its reader goes back before the body opens one
  reply out;
  auto body = std::make_unique<list_body>(std::move(*view), std::move(*found), std::move(budget), readers);
  auto first = body->next();
  if (first.broken)
    return status_reply(503, "ServiceUnavailable", "the store cannot be read now", about);
  out.body = std::move(first.data);
  if (!first.done)
    out.stream = std::move(body);
  return out;
}

} // namespace veranda::api
