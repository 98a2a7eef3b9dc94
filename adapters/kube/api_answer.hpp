#pragma once

#include "adapters/kube/api_request.hpp"
#include "messages/model/failure.hpp"

#include <optional>

namespace veranda::kube {

/// An HTTP answer, whatever its status. Its body is what the server sent, decompressed.
struct api_answer {
  int status = 0;
  std::string content_type;
  std::string body;
  std::optional<std::chrono::milliseconds> retry_after;
  std::vector<std::string> warnings; ///< texts of `Warning: 299` headers, a few
  [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
};

/// Kubernetes' `Status` object, as far as we read it.
struct api_status {
  struct cause {
    std::string reason;
    std::string message;
    std::string field;
  };
  int code = 0;
  std::string reason;
  std::string message;
  std::string name; ///< of the object concerned
  std::vector<cause> causes; ///< the first few
  std::optional<std::chrono::milliseconds> retry_after;
  [[nodiscard]] bool has_cause(std::string_view reason) const;
};

/// The `Status` in `json`; nothing when it is something else. Pure.
[[nodiscard]] std::optional<api_status> parse_status(std::string_view json);

/// The failure that a `Status` means, sorted by consequence. Pure.
[[nodiscard]] failure from_status(const api_status& status, const std::string& object);

/// The failure that an answer which is not `ok` means, whatever its body is. Pure.
[[nodiscard]] failure explain(const api_answer& answer, const api_request& request);

/// The JSON body of a good answer, else what is wrong: an error answer, a web page, nothing at all. Pure.
result<std::string> body_of(api_answer answer, const api_request& request);

/// `why`, with what to grant when it came with status 403: the verb of `method` on `resource` (`repositories.config.porch.kpt.dev`), in a namespace unless that is empty. Pure.
[[nodiscard]] failure with_right(failure why, int status, api_method method, const std::string& resource, const std::string& ns);

/// Whether a create was refused because the object is there already: the other kind of 409.
[[nodiscard]] bool already_exists(const api_answer& answer);

} // namespace veranda::kube
