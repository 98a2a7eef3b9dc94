#include "actors/logic/discovery/index.hpp"

#include "actors/logic/discovery/rules.hpp"

namespace veranda::logic {

namespace {

std::uint64_t hash_of(const oid& id) noexcept { return oid_hash{}(id); }
std::uint64_t ref_hash(const oid& target, std::string_view name) noexcept { return hash_of(target) ^ hash_bytes(name); }

/// Of the request and the subject.
std::uint64_t row_hash(const row_record& r) noexcept {
  return (r.context ^ (std::uint64_t{r.subject} << 1U | (r.from_branch() ? 1U : 0U))) * 0x9e3779b97f4a7c15U;
}

std::uint64_t hash_of(const discovery_limits& l) noexcept {
  const std::array<std::uint64_t, 8> values{l.max_object_bytes, l.max_resource_bytes,     l.max_files_per_package, l.max_tree_depth,
                                            l.max_packages_on_branch, l.max_tree_entries, l.max_tag_depth,         discovery_rules_version};
  return hash_bytes({reinterpret_cast<const char*>(values.data()), sizeof values});
}

template <class T>
auto hash_by_id(const std::vector<T>& records) {
  return [&records](std::uint32_t n) {
    if constexpr (requires { records[n].id; })
      return hash_of(records[n].id);
    else
      return hash_of(records[n].blob);
  };
}

template <class T>
std::uint32_t find_by_id(const flat_index& index, const std::vector<T>& records, const oid& id) {
  return index.find(hash_of(id), [&](std::uint32_t n) {
    if constexpr (requires { records[n].id; })
      return records[n].id == id;
    else
      return records[n].blob == id;
  });
}

template <class T, class HashOf>
std::uint32_t append(std::vector<T>& records, flat_index& index, const T& record, HashOf hash) {
  const auto number = static_cast<std::uint32_t>(records.size());
  records.push_back(record);
  index.insert(number, hash);
  return number;
}

} // namespace

std::uint32_t discovery_index::impl::find_commit(const oid& id) const { return find_by_id(commit_index_, commits, id); }
std::uint32_t discovery_index::impl::find_target(const oid& id) const { return find_by_id(target_index_, targets, id); }
std::uint32_t discovery_index::impl::find_tree(const oid& id) const { return find_by_id(tree_index_, trees, id); }
std::uint32_t discovery_index::impl::find_facts(const oid& blob) const { return find_by_id(facts_index_, facts, blob); }

std::uint32_t discovery_index::impl::find_ref(const oid& target, std::string_view name) const {
  return ref_index_.find(ref_hash(target, name), [&](std::uint32_t n) { return refs[n].target == target && texts[refs[n].name] == name; });
}

std::uint32_t discovery_index::impl::newest_annotation_of(text_id package) const noexcept {
  return package < newest_annotation.size() ? newest_annotation[package] : none;
}

std::uint32_t discovery_index::impl::add(const commit_record& r) {
  changed = true;
  return append(commits, commit_index_, r, hash_by_id(commits));
}
std::uint32_t discovery_index::impl::add(const target_record& r) {
  changed = true;
  return append(targets, target_index_, r, hash_by_id(targets));
}
std::uint32_t discovery_index::impl::add(const tree_record& r) {
  changed = true;
  return append(trees, tree_index_, r, hash_by_id(trees));
}
std::uint32_t discovery_index::impl::add(const facts_record& r) {
  changed = true;
  return append(facts, facts_index_, r, hash_by_id(facts));
}
std::uint32_t discovery_index::impl::add(const ref_record& r) {
  changed = true;
  return append(refs, ref_index_, r, [this](std::uint32_t n) { return ref_hash(refs[n].target, texts[refs[n].name]); });
}

void discovery_index::impl::add(annotation_record r) {
  annotations.push_back(r);
  link(static_cast<std::uint32_t>(annotations.size() - 1));
}

row_record* discovery_index::impl::find_row(const row_record& like) {
  const std::uint32_t number = row_index_.find(row_hash(like), [&](std::uint32_t n) {
    return rows[n].context == like.context && rows[n].subject == like.subject && rows[n].from_branch() == like.from_branch();
  });
  return number == none ? nullptr : &rows[number];
}

void discovery_index::impl::put(const row_record& r) {
  changed = true;
  if (row_record* const known = find_row(r))
    *known = r;
  else
    append(rows, row_index_, r, [this](std::uint32_t n) { return row_hash(rows[n]); });
}

void discovery_index::impl::link(std::uint32_t annotation) {
  annotation_record& r = annotations[annotation];
  if (newest_annotation.size() <= r.package)
    newest_annotation.resize(std::max<std::size_t>(texts.size(), r.package + 1U), none);
  r.previous = newest_annotation[r.package];
  newest_annotation[r.package] = annotation;
}

void discovery_index::impl::begin_run(const discovery_limits& limits) {
  const std::uint64_t hash = hash_of(limits);
  if (hash != limits_hash) {
    adopt(index_content{});
    limits_hash = hash;
  }
  if (needs_compaction(*this))
    adopt(compacted(*this));
  ++runs;
}

void discovery_index::impl::adopt(index_content&& content) {
  static_cast<index_content&>(*this) = std::move(content);
  commit_index_.rebuild(commits.size(), hash_by_id(commits));
  target_index_.rebuild(targets.size(), hash_by_id(targets));
  tree_index_.rebuild(trees.size(), hash_by_id(trees));
  facts_index_.rebuild(facts.size(), hash_by_id(facts));
  ref_index_.rebuild(refs.size(), [this](std::uint32_t n) { return ref_hash(refs[n].target, texts[refs[n].name]); });
  row_index_.rebuild(rows.size(), [this](std::uint32_t n) { return row_hash(rows[n]); });
  newest_annotation.assign(texts.size(), none);
  for (std::uint32_t n = 0; n < annotations.size(); ++n)
    link(n);
}

discovery_index::discovery_index() : impl_(std::make_unique<impl>()) {}
discovery_index::~discovery_index() = default;
discovery_index::discovery_index(discovery_index&&) noexcept = default;
discovery_index& discovery_index::operator=(discovery_index&&) noexcept = default;

bool discovery_index::changed() const noexcept { return impl_->changed; }
std::uint64_t discovery_index::objects_read() const noexcept { return impl_->objects_read; }

std::string discovery_index::save() const {
  if (!needs_compaction(*impl_))
    return encode_image(*impl_);
  index_content content = compacted(*impl_);
  return encode_image(content);
}

result<discovery_index> discovery_index::load(std::string_view image) {
  auto content = decode_image(image);
  if (!content)
    return failure{ec::corrupt_cache, "the discovery index is damaged or of another version", {}, {}, {}};
  discovery_index out;
  out.impl_->adopt(std::move(*content));
  return out;
}

} // namespace veranda::logic
