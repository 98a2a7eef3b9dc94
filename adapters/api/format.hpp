#pragma once

#include "adapters/api/collection.hpp"

namespace veranda::api {

enum class body_format : std::uint8_t { json, table };
enum class row_object : std::uint8_t { metadata, full, none };

/// How objects are to be written.
struct output_format {
  body_format body = body_format::json;
  row_object rows = row_object::metadata;
};

/// From the Accept header and `includeObject`. `invalid_spec` for an unknown `includeObject`.
[[nodiscard]] result<output_format> choose_format(std::string_view accept, std::string_view include_object);

/// `columnDefinitions` as JSON.
[[nodiscard]] std::string columns_json(const std::vector<table_column>& columns);
/// One row of a table as JSON.
[[nodiscard]] result<std::string> row_json(collection& objects, const object_view& o, row_object what, wall_time now);
/// A table of one object, column definitions left out when `columns` is false (as later events of a watch).
[[nodiscard]] result<std::string> single_row_table(collection& objects, const object_view& o, const output_format& format, bool columns, wall_time now);

} // namespace veranda::api
