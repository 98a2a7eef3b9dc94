#include "actors/workers/content_stream.hpp"

#include <algorithm>

namespace veranda {

namespace {
constexpr std::size_t batch_limit_bytes = 1U << 20U;
constexpr std::size_t trees_per_step = 256;
} // namespace

result<void> content_stream::send(const std::vector<oid>& trees) {
  auto missing = cache_.missing_trees(trees, tools_.limits.max_resource_bytes);
  if (!missing)
    return missing.error();
  for (std::size_t at = 0; at < missing->size(); at += trees_per_step) {
    const auto end = std::min(missing->size(), at + trees_per_step);
    if (auto sent = send_trees({missing->begin() + static_cast<std::ptrdiff_t>(at), missing->begin() + static_cast<std::ptrdiff_t>(end)}); !sent)
      return sent;
  }
  return {};
}

result<void> content_stream::send_trees(const std::vector<oid>& trees) {
  std::vector<std::pair<package_tree, store::tree_losses>> listed;
  listed.reserve(trees.size());
  std::vector<oid> blobs;
  for (const auto& id : trees) {
    if (cancel_.expired())
      return failure{cancel_.reason(), "the sync was stopped while it listed package files", {}, {}, {}};
    std::vector<bad_item> lost;
    auto tree = logic::list_package(id, objects_, tools_.limits, lost);
    if (!tree)
      return tree.error();
    for (const auto& file : tree->files)
      if (file.kind != file_kind::omitted_too_large && seen_blobs_.insert(file.blob).second)
        blobs.push_back(file.blob);
    const std::uint64_t count = lost.size();
    lost.resize(std::min(lost.size(), store::named_losses));
    listed.emplace_back(std::move(*tree), store::tree_losses{id, count, std::move(lost)});
  }
  auto missing = cache_.missing_contents(blobs);
  if (!missing)
    return missing.error();
  if (auto sent = send_blobs(*missing); !sent)
    return sent;
  for (auto& [tree, lost] : listed) { // after their contents: a tree in the store has all the contents it lists
    if (lost.count > 0)
      batch_.losses.push_back(std::move(lost));
    batch_bytes_ += 64 + tree.files.size() * 64;
    batch_.trees.push_back(std::move(tree));
    if (batch_bytes_ >= batch_limit_bytes)
      if (auto sent = flush(); !sent)
        return sent;
  }
  return {};
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
    batch_bytes_ += object->data.size() + 32;
    batch_.contents.push_back({id, std::move(object->data)});
  }
  return {};
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
