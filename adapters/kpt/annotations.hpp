#pragma once

#include "actors/logic/discovery/object_reader.hpp"

#include <memory>

namespace veranda::kpt {

/// Longest `kpt:` line that is read.
inline constexpr std::size_t max_annotation_bytes = 1U << 20U;
/// Of one commit; the others are dropped.
inline constexpr std::size_t max_annotations = 1'000;

/// Decodes the `kpt:` lines of commit messages, each a JSON object behind `kpt:`. Neither blocks nor throws but for memory; one thread at a time.
class annotation_decoder {
public:
  annotation_decoder();
  ~annotation_decoder();
  /// The well-formed lines in order; the number of the others is added to `dropped`.
  [[nodiscard]] std::vector<logic::commit_annotation> decode(std::string_view message, std::size_t& dropped);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace veranda::kpt
