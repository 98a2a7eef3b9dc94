#include "actors/workers/content_stream.hpp"

#include <algorithm>

namespace veranda {

namespace {
constexpr std::size_t batch_limit_bytes = 1U << 20U;
constexpr std::size_t trees_per_step = 256;
constexpr std::size_t listed_limit_bytes = 16U << 20U; ///< of lists of files that wait for what they name

std::size_t memory_of(const package_tree& tree) {
  std::size_t bytes = 64 + tree.files.size() * 64;
  for (const auto& file : tree.files)
    bytes += file.path.size();
  return bytes;
}
} // namespace

result<void> content_stream::send(const std::vector<oid>& trees) {
  auto missing = cache_.missing_trees(trees, tools_.limits.max_resource_bytes);
  if (!missing)
    return missing.error();
  for (std::span<const oid> left{*missing}; !left.empty();) {
    const auto sent = send_trees(left.first(std::min(left.size(), trees_per_step)));
    if (!sent)
      return sent.error();
    left = left.subspan(*sent);
  }
  return {};
}

result<std::size_t> content_stream::send_trees(std::span<const oid> trees) {
  std::vector<std::pair<package_tree, store::tree_losses>> listed;
  listed.reserve(trees.size());
  std::vector<oid> blobs;
  std::size_t listed_bytes = 0;
  for (const auto& id : trees) {
    if (listed_bytes > listed_limit_bytes)
      break;
    if (cancel_.expired())
      return failure{cancel_.reason(), "the sync was stopped while it listed package files", {}, {}, {}};
    logic::bad_items lost;
    auto tree = logic::list_package(id, objects_, tools_.limits, lost);
    if (!tree)
      return tree.error();
    for (const auto& file : tree->files)
      if (file.kind != file_kind::omitted_too_large && seen_blobs_.insert(file.blob).second)
        blobs.push_back(file.blob);
    listed_bytes += memory_of(*tree);
    const auto count = lost.count();
    auto first = lost.take();
    first.resize(std::min(first.size(), store::named_losses));
    listed.emplace_back(std::move(*tree), store::tree_losses{id, count, std::move(first)});
  }
  auto missing = cache_.missing_contents(blobs);
  if (!missing)
    return missing.error();
  if (auto sent = send_blobs(*missing); !sent)
    return sent.error();
  for (auto& [tree, lost] : listed) { // after their contents: a tree in the store has all the contents it lists
    if (lost.count > 0)
      batch_.losses.push_back(std::move(lost));
    if (auto counted = count(memory_of(tree)); !counted)
      return counted.error();
    batch_bytes_ += memory_of(tree);
    batch_.trees.push_back(std::move(tree));
    if (batch_bytes_ >= batch_limit_bytes)
      if (auto sent = flush(); !sent)
        return sent.error();
  }
  return listed.size();
}

result<void> content_stream::send_blobs(const std::vector<oid>& blobs) {
  for (const auto& id : blobs) {
    if (cancel_.expired())
      return failure{cancel_.reason(), "the sync was stopped while it read package files", {}, {}, {}};
    auto object = objects_.read(id, tools_.limits.max_resource_bytes);
    if (!object)
      return object.error();
    if (batch_bytes_ + object->data.size() > batch_limit_bytes && batch_bytes_ > 0)
      if (auto sent = flush(); !sent)
        return sent;
    if (auto counted = count(object->data.size()); !counted)
      return counted;
    batch_bytes_ += object->data.size() + 32;
    batch_.contents.push_back({id, std::move(object->data)});
  }
  return {};
}

/// A small pack may hold very much.
result<void> content_stream::count(std::uint64_t bytes) {
  sent_bytes_ += bytes;
  if (sent_bytes_ <= tools_.limits.max_sync_bytes)
    return {};
  return failure{ec::too_large,
                 "the files of its packages take more than the " + std::to_string(tools_.limits.max_sync_bytes) +
                   " bytes that one sync may bring into the cache; remove packages or large files, or raise --max-sync-bytes",
                 {}, {}, {}};
}

result<void> content_stream::flush() {
  if (batch_.trees.empty() && batch_.contents.empty())
    return {};
  failure why;
  if (!gate_->acquire(cancel_, why))
    return why;
  tools_.store_contents(std::make_shared<const store::content_batch>(std::move(batch_)), gate_);
  batch_ = {};
  batch_bytes_ = 0;
  return {};
}

result<void> content_stream::finish() {
  if (auto sent = flush(); !sent)
    return sent;
  failure why;
  if (!gate_->drain(cancel_, why))
    return why;
  return {};
}

} // namespace veranda
