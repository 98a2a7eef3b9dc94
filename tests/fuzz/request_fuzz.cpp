// links: veranda_adapter_api
// `METHOD path?query`, then lines for a label selector, a field selector, Accept, Host and Authorization: each is read or refused with a sentence.
#include "adapters/api/format.hpp"
#include "adapters/api/guard.hpp"
#include "adapters/api/router.hpp"
#include "adapters/api/selector.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace veranda;
using namespace veranda::api;

std::string_view take(std::string_view& text, char end) {
  const auto at = std::min(text.find(end), text.size());
  const auto out = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return out;
}

void require(bool truth) {
  if (!truth) std::abort();
}

template <class T>
void require_sentence(const result<T>& r) {
  if (!r) require(!r.error().what.empty() && r.error().code == ec::invalid_spec);
}

void select(const result<selector>& parsed) {
  require_sentence(parsed);
  if (!parsed) return;
  const attribute_map none;
  const attribute_map one{{"metadata.name", "a"}, {"a", "b"}};
  bool wants_nothing = true;
  for (const auto& r : parsed->requirements) {
    require(!r.key.empty() && parsed->mentions(r.key));
    wants_nothing = wants_nothing && (r.op == requirement::operation::absent || r.op == requirement::operation::not_in);
    (void)parsed->pinned(r.key);
  }
  (void)parsed->matches(one);
  if (wants_nothing) require(parsed->matches(none));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text{reinterpret_cast<const char*>(data), size};
  std::string_view target = take(text, '\n');
  const auto method = take(target, ' ');
  const auto path = take(target, '?');
  const auto r = route_request(method, path, target);
  require(r.where != endpoint::object || (r.kind != nullptr && !r.name.empty()));
  require(r.name.find('\0') == std::string::npos && r.ns.find('\0') == std::string::npos);
  for (const auto& [name, value] : r.query) require(r.param(name) == value);
  (void)r.flag("watch");
  (void)is_public(path);
  if (const auto decoded = percent_decode(path, false)) require(decoded->size() <= path.size());
  if (const auto n = parse_number(target)) require(*n >= 0);

  select(parse_label_selector(r.param("labelSelector")));
  select(parse_label_selector(take(text, '\n')));
  select(parse_field_selector(take(text, '\n'), {"metadata.name", "metadata.namespace", "a"}));
  (void)choose_format(take(text, '\n'), r.param("includeObject"));
  (void)is_loopback(host_of_authority(take(text, '\n')));
  return 0;
}
