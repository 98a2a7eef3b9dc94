#pragma once

#include "adapters/api/http.hpp"
#include "adapters/api/kinds.hpp"
#include "messages/model/repository.hpp"

namespace veranda::api {

/// What a `Status` is about.
struct status_subject {
  const kind_info* kind = nullptr;
  std::string name;
};

/// JSON of a Kubernetes `Status` of a failed request.
[[nodiscard]] std::string status_json(int code, std::string_view reason, std::string_view message, const status_subject& about = {},
                                      const std::vector<field_problem>& causes = {});
/// An error answer. 429, 503 and 504 carry `Retry-After: 1`: the request had no effect.
[[nodiscard]] reply status_reply(int code, std::string_view reason, std::string_view message, const status_subject& about = {},
                                 const std::vector<field_problem>& causes = {});
/// How a failure of a store or writer is answered. `creating` makes a conflict `AlreadyExists`.
[[nodiscard]] reply failure_reply(const failure& f, const status_subject& about = {}, bool creating = false);
[[nodiscard]] reply not_found_reply(const status_subject& about);
/// Answer to a DELETE that took effect at once.
[[nodiscard]] std::string success_json(const status_subject& about, std::string_view uid);

/// A JSON string literal; invalid UTF-8 is replaced.
[[nodiscard]] std::string json_text(std::string_view text);

} // namespace veranda::api
