#pragma once

#include "messages/model/api_object.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace veranda::kube {

struct decoder_limits {
  std::size_t max_object_bytes = 4U << 20U; ///< a larger one is passed on with a problem instead of its text
  bool identity_only = false;               ///< texts are dropped as soon as it is known whose they are
};

/// Reads what an API server sends about one kind of objects. One object that cannot be read is an item with a problem, with its name and uid where they can be
/// found, and spoils nobody else. Keeps buffers between calls: one thread at a time.
class object_decoder {
public:
  /// `kind`, `api_version`: what the objects are; written into those of a list that leave them out, as built-in kinds do.
  object_decoder(std::string kind, std::string api_version, const decoder_limits& limits = {});
  ~object_decoder();
  object_decoder(object_decoder&&) noexcept;
  object_decoder& operator=(object_decoder&&) noexcept;

  /// A list. `unavailable` when it is cut or no JSON (asked again it may be well), `unsupported` when it is something else than a list of this kind; a `Status` is
  /// the failure that it means.
  result<api_list_page> list(std::string body);
  /// One object, as answered to get, create and patch.
  result<api_object> object(std::string body);
  /// One line of a watch stream. Nothing for events that are to be ignored: of unknown type, or about another kind. `unavailable` when it is no event at all.
  result<std::optional<api_event>> event(std::string line);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace veranda::kube
