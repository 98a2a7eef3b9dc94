#pragma once

#include <string>
#include <string_view>

namespace veranda::kube {

/// The conditions of an object, JSON, that are not of our types, as a JSON array; empty when there are none. They are kept as they are. Pure.
[[nodiscard]] std::string foreign_conditions(std::string_view object_json);

/// The conditions of an object that events speak of, Ready and DeletionHeld: JSON values with commas between them; empty when it has neither. Pure.
[[nodiscard]] std::string told_conditions(std::string_view object_json);

/// What a merge patch has to say so that the status becomes `status_json` (as `codec::encode_status` writes it): what it leaves out is taken away, our conditions come
/// first, those of others (`foreign`, an array or empty) stay behind them; one of theirs that has a type of ours does not. Fields that we do not know stay. Pure.
[[nodiscard]] std::string status_patch(std::string_view status_json, std::string_view foreign);

} // namespace veranda::kube
