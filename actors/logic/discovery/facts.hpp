#pragma once

#include "messages/model/package_revision.hpp"

namespace veranda::logic {

/// The facts of a Kptfile as one compact text, and back. `decode_facts` of what `encode_facts` gave is the same value; of anything
/// else it is some value, never a fault.
[[nodiscard]] std::string encode_facts(const kptfile_facts& facts);
[[nodiscard]] kptfile_facts decode_facts(std::string_view text);
/// Only the `problem` of what `decode_facts` gives; a view into the text.
[[nodiscard]] std::string_view problem_of_facts(std::string_view text);

} // namespace veranda::logic
