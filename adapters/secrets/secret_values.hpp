#pragma once

#include "adapters/source/manifest_directory.hpp"

#include "messages/model/object.hpp"

#include <string>

namespace veranda::secrets {

/// A Secret that cannot be used as it is: `auth_rejected`, naming it and the field.
[[nodiscard]] failure refused(const object_key& secret, std::string what, std::string field = {});
/// The value of a key that must be there, fit for a header line: not empty, at most 16 KiB, without control characters; line ends behind it are cut off, because files and
/// `echo` leave them.
[[nodiscard]] result<std::string> required(const object_key& secret, const source::secret_bytes& bytes, const char* key);

} // namespace veranda::secrets
