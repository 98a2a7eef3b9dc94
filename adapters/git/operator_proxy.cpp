#include "adapters/git/operator_proxy.hpp"

#include "messages/model/ip_range.hpp"

#include <algorithm>
#include <initializer_list>

namespace veranda::git {

namespace {

/// The first of the variables that is set; empty counts as set.
std::string_view first_set(const environment_lookup& lookup, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (const char* value = lookup(name)) return value;
  return {};
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool equal_names(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

/// `host` is `name`, or below it.
bool within(std::string_view host, std::string_view name) {
  while (name.starts_with('.')) name.remove_prefix(1);
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || host.size() < name.size() || !equal_names(host.substr(host.size() - name.size()), name)) return false;
  return host.size() == name.size() || host[host.size() - name.size() - 1] == '.';
}

bool names(std::string_view entry, std::string_view host) {
  const auto address = parse_ip(host);
  if (!address) return within(host.ends_with('.') ? host.substr(0, host.size() - 1) : host, entry);
  if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
  if (const auto range = parse_ip_range(entry)) return range->contains(*address);
  return parse_ip(entry) == address;
}

bool excluded(std::string_view host, std::string_view no_proxy) {
  while (!no_proxy.empty()) {
    const auto end = std::min(no_proxy.find_first_of(", \t"), no_proxy.size());
    const auto entry = no_proxy.substr(0, end);
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
    if (!entry.empty() && (entry == "*" || names(entry, host))) return true;
  }
  return false;
}

} // namespace

std::string operator_proxy(std::string_view scheme, std::string_view host, const environment_lookup& lookup) {
  const auto proxy = scheme == "https" ? first_set(lookup, {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                                       : first_set(lookup, {"http_proxy", "all_proxy", "ALL_PROXY"}); // HTTP_PROXY may be a header of somebody's request
  if (proxy.empty() || excluded(host, first_set(lookup, {"no_proxy", "NO_PROXY"}))) return {};
  return std::string{proxy};
}

} // namespace veranda::git
