#pragma once

#include "messages/local.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

namespace veranda::msg {

/// A sync of the repository has succeeded in this process: its rows are what git has. Until then they may be the past, and nothing is done by them.
struct repository_in_step {
  object_key repository;
  std::string uid;
};
/// The Repository object is being deleted and its rows have left the cache: its PackageRev objects are to go, too. Answered true when none is left; false when that takes
/// its time, or it is asked for again meanwhile; and with a failure that says what keeps them when that is somebody else's business.
struct expel_package_revs {
  object_key repository;
};
/// Answered when every PackageRev object is as the cache wants it, or cannot be made so now.
struct await_package_revs {};

} // namespace veranda::msg

VERANDA_LOCAL_MESSAGE(veranda::msg::repository_in_step)
VERANDA_LOCAL_MESSAGE(veranda::msg::expel_package_revs)
VERANDA_LOCAL_MESSAGE(veranda::msg::await_package_revs)

namespace veranda {

/// Keeps the PackageRev objects of an API server in step with the package cache. Own thread.
using package_rev_keeper_actor = caf::typed_actor<caf::reacts_to<msg::repository_in_step>,                // by its repository, after each success that may be the first
                                                  caf::replies_to<msg::expel_package_revs>::with<bool>, // before the Repository object may go
                                                  caf::replies_to<msg::await_package_revs>::with<bool>, // by --once
                                                  caf::reacts_to<msg::continue_transfers>>;             // INTERNAL

} // namespace veranda
