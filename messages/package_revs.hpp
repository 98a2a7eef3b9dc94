#pragma once

#include "messages/local.hpp"

#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

namespace veranda::msg {

/// The repository's rows have left the cache: its PackageRev objects are to go, too. Answered true when none is left, false when it is
/// asked for again meanwhile.
struct expel_package_revs {
  object_key repository;
};
/// Answered when every PackageRev object is as the cache wants it, or cannot be made so now.
struct await_package_revs {};

} // namespace veranda::msg

VERANDA_LOCAL_MESSAGE(veranda::msg::expel_package_revs)
VERANDA_LOCAL_MESSAGE(veranda::msg::await_package_revs)

namespace veranda {

/// Keeps the PackageRev objects of an API server in step with the package cache. Own thread.
using package_rev_keeper_actor = caf::typed_actor<caf::replies_to<msg::expel_package_revs>::with<bool>, // before the Repository object may go
                                                  caf::replies_to<msg::await_package_revs>::with<bool>, // by --once
                                                  caf::reacts_to<msg::continue_transfers>>;             // INTERNAL

} // namespace veranda
