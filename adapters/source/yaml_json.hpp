#pragma once

#include "adapters/source/manifest_directory.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace veranda::source {

/// One document of a manifest file as JSON, or why it could not be read.
struct json_document {
  int number = 0;    ///< counted from 1 as people count: by `---` lines
  std::string json;  ///< compact; empty when broken
  std::string error; ///< what is wrong, with its line; holds nothing of the document
};

/// Splits a file into its documents and turns each into JSON, typed as kubectl does (YAML 1.1 booleans, numbers and null when plain; quoted scalars and
/// timestamps are strings; `<<` merges). `---` lines separate documents whatever is between them, so that a broken one leaves the others readable.
/// JSON values may follow each other. Depth, nodes and bytes are counted before an alias is expanded; empty documents are left out. Pure.
[[nodiscard]] std::vector<json_document> read_documents(std::string_view text, bool is_json, const manifest_limits& limits);

} // namespace veranda::source
