#pragma once

#include "adapters/api/format.hpp"
#include "adapters/api/http.hpp"
#include "adapters/api/router.hpp"

namespace veranda::api {

/// The selectors and the format of one list or watch.
struct view_request {
  const kind_info* kind = nullptr;
  collection_query restrict_to;
  selector labels;
  selector fields;
  output_format format;

  [[nodiscard]] bool selects(collection& objects, const object_view& o) const;
};

/// Reads selectors and format; `invalid_spec` names what is wrong with them.
[[nodiscard]] result<view_request> parse_view(const route& r, std::string_view accept);

/// `limit` and `continue`.
struct page_request {
  std::uint64_t limit = 0; ///< 0: no paging
  std::int64_t position = 0; ///< of the first page, 0 on the first page
  object_key after;          ///< start behind this object
};

/// An opaque token that continues a listing behind an object.
[[nodiscard]] std::string make_continue_token(std::int64_t position, const object_key& after);
[[nodiscard]] std::optional<page_request> parse_continue_token(std::string_view token);

/// Answers a list. The rows are collected in one transaction; they are encoded while they are sent, so that contents are never all in memory.
[[nodiscard]] reply list_objects(const route& r, std::string_view accept, reader_pool& readers);

} // namespace veranda::api
