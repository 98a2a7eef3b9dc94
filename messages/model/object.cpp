#include "messages/model/object.hpp"

namespace veranda {

std::string to_string(const object_key& key) { return key.ns + '/' + key.name; }

} // namespace veranda
