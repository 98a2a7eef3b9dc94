#include "adapters/api/format.hpp"

#include "adapters/api/status.hpp"

namespace veranda::api {

result<output_format> choose_format(std::string_view accept, std::string_view include_object) {
  output_format f;
  if (accept.find("as=Table") != std::string_view::npos)
    f.body = body_format::table;
  if (include_object == "Object")
    f.rows = row_object::full;
  else if (include_object == "None")
    f.rows = row_object::none;
  else if (!include_object.empty() && include_object != "Metadata")
    return failure{ec::invalid_spec, "must be None, Metadata or Object", {}, "includeObject", {}};
  return f;
}

std::string columns_json(const std::vector<table_column>& columns) {
  std::string out = "[";
  for (const auto& c : columns) {
    if (out.size() > 1)
      out += ',';
    out += "{\"name\":" + json_text(c.name) + ",\"type\":" + json_text(c.type) + ",\"format\":\"" + (&c == columns.data() ? "name" : "") +
           "\",\"description\":" + json_text(c.description) + ",\"priority\":" + std::to_string(c.priority) + "}";
  }
  return out + "]";
}

result<std::string> row_json(collection& objects, const object_view& o, row_object what, wall_time now) {
  std::string out = "{\"cells\":[";
  bool first = true;
  for (const auto& cell : objects.cells(o, now)) {
    out += first ? "" : ",";
    out += cell;
    first = false;
  }
  out += "],\"object\":";
  if (what == row_object::none)
    return out + "null}";
  if (what == row_object::metadata)
    return out + R"({"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":)" + objects.metadata(o) + "}}";
  auto full = objects.encode(o);
  if (!full)
    return full;
  return out + *full + "}";
}

result<std::string> single_row_table(collection& objects, const object_view& o, const output_format& format, bool columns, wall_time now) {
  auto row = row_json(objects, o, format.rows, now);
  if (!row)
    return row;
  return R"({"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":)" + json_text(o.resource_version) +
         "},\"columnDefinitions\":" + (columns ? columns_json(objects.columns()) : "null") + ",\"rows\":[" + *row + "]}";
}

} // namespace veranda::api
