#include "actors/system/election.hpp"

#include <array>
#include <random>

#include <unistd.h>

namespace veranda {

namespace {

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name.front() == '\0')
    return "verandad";
  return name.data();
}

/// A version 4 UUID.
std::string random_uuid() {
  std::random_device random;
  std::string out;
  for (std::size_t i = 0; i < 32; ++i) {
    auto digit = random() % 16U;
    if (i == 12)
      digit = 4;
    else if (i == 16)
      digit = 8U + digit % 4U;
    if (i == 8 || i == 12 || i == 16 || i == 20)
      out += '-';
    out += "0123456789abcdef"[digit];
  }
  return out;
}

} // namespace

logic::elector_policy election_policy(const config::settings& settings) {
  logic::elector_policy policy;
  policy.identity = host_name() + "_" + random_uuid();
  policy.lease_duration = std::chrono::duration_cast<std::chrono::seconds>(settings.lease_duration);
  policy.renew_deadline = settings.lease_renew_deadline;
  policy.retry_period = settings.lease_retry_period;
  return policy;
}

election_line line_of(const election_view& view, const object_key& lease) {
  const auto trouble = view.problem ? explain_lease_problem(*view.problem, lease) : std::string{};
  if (view.role == logic::elector_role::leader)
    return {trouble.empty() ? "this process leads" : "this process leads, but its Lease cannot be renewed: " + trouble, false, trouble.empty()};
  if (!trouble.empty())
    return {"standby; the Lease cannot be kept: " + trouble, true, false};
  if (!view.looked)
    return {"standby; the Lease has not been read yet", true, false};
  return {view.holder.empty() ? "standby; nobody leads" : "standby; " + view.holder + " leads", true, true};
}

} // namespace veranda
