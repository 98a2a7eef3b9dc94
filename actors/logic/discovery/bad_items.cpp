#include "actors/logic/discovery/bad_items.hpp"

namespace veranda::logic {

namespace {

/// Cuts at a character boundary.
std::string shortened(std::string text) {
  if (text.size() <= bad_items::most_bytes)
    return text;
  std::size_t end = bad_items::most_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  text.resize(end);
  return text + "...";
}

} // namespace

void bad_items::add(std::string what, std::string reason, bool excluded) {
  bad_item item{shortened(std::move(what)), shortened(std::move(reason)), excluded};
  const bool full = first_.size() == most_kept;
  if (full && *first_.rbegin() < item) {
    ++count_;
    return;
  }
  if (!first_.insert(std::move(item)).second)
    return;
  ++count_;
  if (full)
    first_.erase(std::prev(first_.end()));
}

std::vector<bad_item> bad_items::take() {
  std::vector<bad_item> out;
  out.reserve(first_.size());
  while (!first_.empty())
    out.push_back(std::move(first_.extract(first_.begin()).value()));
  count_ = 0;
  return out;
}

} // namespace veranda::logic
