#include "actors/logic/discovery/index.hpp"

namespace veranda::logic {

namespace {

constexpr std::size_t sections = 10;

struct image_header {
  std::array<char, 8> magic{'V', 'R', 'N', 'D', 'A', 'I', 'D', 'X'};
  std::uint32_t format = 2; ///< raised when a record or what a decoder says changes
  std::uint32_t runs = 0;
  std::uint64_t limits_hash = 0;
  std::uint64_t baseline = 0;
  std::uint64_t span_count = 0;
  std::uint64_t text_bytes = 0;
  std::array<std::uint64_t, sections> counts{};
};
static_assert(flat_record<image_header>);

template <class T>
void put(std::string& out, const T* values, std::size_t count) {
  if (count != 0)
    out.append(reinterpret_cast<const char*>(values), count * sizeof(T));
}

/// Takes `count` records off the front; false when there are not so many.
template <class T>
bool take(std::string_view& in, std::vector<T>& out, std::uint64_t count) {
  if (count > in.size() / sizeof(T))
    return false;
  out.resize(static_cast<std::size_t>(count));
  if (count != 0)
    std::memcpy(out.data(), in.data(), out.size() * sizeof(T));
  in.remove_prefix(out.size() * sizeof(T));
  return true;
}

bool in_range(std::uint32_t number, std::size_t count) { return number == none || number < count; }
bool is_slice(std::uint32_t first, std::uint32_t length, std::size_t count) { return first <= count && length <= count - first; }

bool commits_hold(const index_content& c) {
  for (std::uint32_t n = 0; n < c.commits.size(); ++n) {
    const commit_record& r = c.commits[n];
    if (!is_slice(r.first_parent, r.parent_count, c.parents.size()) || !is_slice(r.first_annotation, r.annotation_count, c.annotations.size()) ||
        r.jump > n || r.author >= c.texts.size() || r.problem >= c.texts.size() || (r.depth > 0 && r.parent_count != 1))
      return false;
    for (std::uint32_t p = 0; p < r.parent_count; ++p)
      if (c.parents[r.first_parent + p] >= n)
        return false;
  }
  return true;
}

/// Every number in the content names something.
bool holds_together(const index_content& c) {
  const std::size_t texts = c.texts.size();
  const auto all = [](const auto& records, auto good) { return std::all_of(records.begin(), records.end(), good); };
  return commits_hold(c) && all(c.annotations, [&](const annotation_record& r) {
           return r.commit < c.commits.size() && r.package < texts && r.workspace < texts && r.revision < texts && r.task < texts;
         }) &&
         all(c.targets, [&](const target_record& r) { return r.problem < texts; }) && all(c.refs, [&](const ref_record& r) {
           const bool whole = r.status != ref_status::package || (r.commit != none && r.facts != none);
           return whole && r.name < texts && r.problem < texts && r.workspace < texts && in_range(r.commit, c.commits.size()) &&
                  in_range(r.facts, c.facts.size()) && in_range(r.task, c.annotations.size());
         }) &&
         all(c.trees, [&](const tree_record& r) {
           const bool whole = r.kind != tree_kind::package || r.facts != none;
           return whole && r.problem < texts && in_range(r.facts, c.facts.size()) && is_slice(r.first_child, r.child_count, c.children.size());
         }) &&
         all(c.children, [&](const child_record& r) { return r.name < texts; }) &&
         all(c.facts, [&](const facts_record& r) { return r.facts < texts; }) && all(c.walks, [&](const walk_record& r) {
           return r.branch < texts && r.directory < texts && in_range(r.commit, c.commits.size());
         }) &&
         all(c.rows, [&](const row_record& r) {
           return r.subject < (r.from_branch() ? texts : c.refs.size()) && in_range(r.publication, c.commits.size()) && in_range(r.task, c.annotations.size());
         });
}

} // namespace

std::string encode_image(index_content& content) {
  image_header header;
  header.runs = content.runs;
  header.limits_hash = content.limits_hash;
  header.baseline = content.baseline;
  header.span_count = content.texts.size();
  header.text_bytes = content.texts.bytes().size();
  std::size_t section = 0;
  std::size_t bytes = sizeof header + content.texts.size() * sizeof(text_pool::span) + content.texts.bytes().size() + sizeof(std::uint64_t);
  content.each([&](const auto& records) {
    header.counts[section++] = records.size();
    bytes += records.size() * sizeof(records[0]);
  });
  std::string out;
  out.reserve(bytes);
  put(out, &header, 1);
  content.each([&](const auto& records) { put(out, records.data(), records.size()); });
  put(out, content.texts.spans().data(), content.texts.size());
  out += content.texts.bytes();
  const std::uint64_t checksum = hash_bytes(out);
  put(out, &checksum, 1);
  return out;
}

std::optional<index_content> decode_image(std::string_view image) {
  image_header header;
  const image_header expected;
  std::uint64_t checksum = 0;
  if (image.size() < sizeof header + sizeof checksum)
    return std::nullopt;
  std::memcpy(&checksum, image.data() + image.size() - sizeof checksum, sizeof checksum);
  image.remove_suffix(sizeof checksum);
  std::memcpy(&header, image.data(), sizeof header);
  if (header.magic != expected.magic || header.format != expected.format || hash_bytes(image) != checksum)
    return std::nullopt;
  image.remove_prefix(sizeof header);

  index_content content;
  content.runs = header.runs;
  content.limits_hash = header.limits_hash;
  content.baseline = header.baseline;
  std::size_t section = 0;
  bool complete = true;
  content.each([&](auto& records) { complete = complete && take(image, records, header.counts[section++]); });
  std::vector<text_pool::span> spans;
  complete = complete && take(image, spans, header.span_count) && image.size() == header.text_bytes;
  if (!complete || !content.texts.adopt(std::string{image}, std::move(spans)) || !holds_together(content))
    return std::nullopt;
  return content;
}

} // namespace veranda::logic
