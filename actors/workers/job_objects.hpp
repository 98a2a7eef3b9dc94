#pragma once

#include "actors/logic/discovery/object_reader.hpp"

#include <unordered_map>

namespace veranda {

/// The objects of a mirror for the length of one job. Discovery reads package trees and Kptfiles that are wanted again when the package's files are stored:
/// small ones are kept until their second read, within a bound. Headers are remembered, since revisions of a package share most of their files.
class job_objects final : public logic::object_reader {
public:
  explicit job_objects(logic::object_reader& objects) : objects_(objects) {}
  result<logic::git_object> read(const oid& id, std::uint64_t max_bytes = logic::most_object_bytes) override;
  result<logic::git_object_header> header(const oid& id) override;
  /// From now on each object is read for the last time.
  void keep_no_more() noexcept { keeping_ = false; }

private:
  void keep(const oid& id, const logic::git_object& object);

  logic::object_reader& objects_;
  std::unordered_map<oid, logic::git_object> kept_;
  std::size_t kept_bytes_ = 0;
  bool keeping_ = true;
  std::unordered_map<oid, logic::git_object_header> headers_;
};

} // namespace veranda
