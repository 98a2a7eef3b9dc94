#include "actors/logic/discovery/trees.hpp"

#include "actors/logic/discovery/facts.hpp"
#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"

namespace veranda::logic {

namespace {

constexpr std::string_view kptfile_name = "Kptfile";
constexpr std::size_t max_cached_bytes = 4U << 20U;
/// Of the directories of one branch together: a small tree that holds itself many times over has long paths.
constexpr std::size_t max_path_bytes = 64U << 20U;

failure texts_full() { return {ec::too_large, "the branches and tags hold more names of directories than are remembered of a remote; remove what is not needed", {}, {}, {}}; }

bool makes_package(entry_kind kind) {
  return kind == entry_kind::file || kind == entry_kind::executable || kind == entry_kind::symlink;
}

std::string below(std::string_view path, std::string_view name) {
  std::string out{path};
  if (!out.empty())
    out += '/';
  out += name;
  return out;
}

} // namespace

result<tree_store::raw_tree> tree_store::raw(const oid& id) {
  if (const auto known = cache_.find(id); known != cache_.end())
    return raw_tree{&known->second, {}};
  auto object = s_.read(id);
  if (!object && !session::is_isolated(object.error()))
    return std::move(object).error();
  if (!object)
    return raw_tree{nullptr, s_.too_large()};
  if (object->type != git_object_type::tree)
    return raw_tree{nullptr, "is a " + std::string{to_string(object->type)} + ", not a tree"};
  if (cached_bytes_ > max_cached_bytes) {
    cache_.clear();
    cached_bytes_ = 0;
  }
  cached_bytes_ += object->data.size();
  return raw_tree{&cache_.emplace(id, std::move(object->data)).first->second, {}};
}

result<resolved_tree> tree_store::find(const oid& root, std::string_view path) {
  oid at = root;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    std::optional<oid> child;
    if (const std::uint32_t known = s_.index.find_tree(at); known != none) {
      const tree_record& r = s_.index.trees[known];
      if (r.kind == tree_kind::bad)
        return resolved_tree{{}, std::string{s_.index.texts[r.problem]}};
      const text_id wanted = s_.index.texts.find(name);
      for (std::uint32_t c = r.first_child; c < r.first_child + r.child_count && !child; ++c)
        if (s_.index.children[c].name == wanted)
          child = s_.index.children[c].id;
    } else {
      auto tree = raw(at);
      if (!tree)
        return std::move(tree).error();
      if (tree->data == nullptr)
        return resolved_tree{{}, tree->problem};
      tree_cursor cursor{*tree->data};
      for (tree_entry entry; !child && cursor.next(entry);)
        if (entry.kind == entry_kind::tree && entry.name == name)
          child = entry.id;
      if (cursor.malformed())
        return resolved_tree{{}, "is a malformed tree"};
    }
    if (!child)
      return resolved_tree{};
    at = *child;
  }
  return resolved_tree{at, {}};
}

result<std::uint32_t> tree_store::add_bad(const oid& tree, std::string_view problem) {
  tree_record r;
  r.id = tree;
  r.problem = s_.index.texts.intern(problem);
  if (r.problem == none)
    return texts_full();
  return s_.index.add(r);
}

result<std::uint32_t> tree_store::load(const oid& tree) {
  auto& index = s_.index;
  if (const std::uint32_t known = index.find_tree(tree); known != none)
    return known;
  auto bytes = raw(tree);
  if (!bytes)
    return std::move(bytes).error();
  if (bytes->data == nullptr)
    return add_bad(tree, bytes->problem);

  tree_record r;
  r.id = tree;
  r.kind = tree_kind::directory;
  std::vector<child_record> children;
  std::optional<tree_entry> kptfile;
  bool long_name = false;
  tree_cursor cursor{*bytes->data};
  for (tree_entry entry; cursor.next(entry); ++r.entries) {
    if (entry.name == kptfile_name && !kptfile)
      kptfile = entry;
    if (entry.kind != entry_kind::tree)
      continue;
    if (entry.name.size() > max_name_bytes) {
      long_name = true;
      continue;
    }
    children.push_back({entry.id, index.texts.intern(entry.name)});
    if (children.back().name == none)
      return texts_full();
  }
  if (cursor.malformed())
    return add_bad(tree, "is a malformed tree");
  if (kptfile && makes_package(kptfile->kind)) {
    auto facts = load_facts(kptfile->id);
    if (!facts)
      return std::move(facts).error();
    r.kind = tree_kind::package;
    r.facts = *facts;
  } else if (kptfile || long_name) {
    r.problem = index.texts.intern(kptfile ? "has a `Kptfile` that is no file, so it is no package"
                                           : "holds a directory with a name of more than " + std::to_string(max_name_bytes) + " bytes, which was left out");
    if (r.problem == none)
      return texts_full();
  }
  r.first_child = static_cast<std::uint32_t>(index.children.size());
  r.child_count = static_cast<std::uint32_t>(children.size());
  index.children.insert(index.children.end(), children.begin(), children.end());
  return index.add(r);
}

result<std::uint32_t> tree_store::load_facts(const oid& blob) {
  auto& index = s_.index;
  if (const std::uint32_t known = index.find_facts(blob); known != none)
    return known;
  kptfile_facts facts;
  auto object = s_.read(blob);
  if (!object && !session::is_isolated(object.error()))
    return std::move(object).error();
  if (!object)
    facts.problem = s_.too_large();
  else if (object->type != git_object_type::blob)
    facts.problem = "is a " + std::string{to_string(object->type)} + ", not a file";
  else
    facts = s_.decoder.decode_kptfile(object->data);
  facts_record r;
  r.blob = blob;
  r.facts = index.texts.intern(encode_facts(facts));
  if (r.facts == none)
    return texts_full();
  return index.add(r);
}

result<std::vector<branch_package>> tree_store::walk(const oid& root, std::string_view where, std::string_view directory, bad_items& bad) {
  struct place {
    oid tree;
    std::string path;
    std::uint32_t depth;
  };
  auto& index = s_.index;
  std::vector<branch_package> out;
  std::vector<place> todo{{root, {}, 0}};
  std::uint64_t entries = 0;
  std::size_t path_bytes = 0;
  const auto report = [&](std::string_view path, std::string reason) {
    bad.add(std::string{where} + ':' + printable(below(directory, path)), std::move(reason), true);
  };
  while (!todo.empty()) {
    const place at = std::move(todo.back());
    todo.pop_back();
    if (at.depth > s_.limits.max_tree_depth) {
      report(at.path, "lies deeper than " + std::to_string(s_.limits.max_tree_depth) + " directories; nothing below it was looked at");
      continue;
    }
    auto loaded = load(at.tree);
    if (!loaded)
      return std::move(loaded).error();
    const tree_record r = index.trees[*loaded];
    if (r.kind == tree_kind::package && !at.path.empty()) {
      if (out.size() == s_.limits.max_packages_on_branch) {
        report({}, "holds more than " + std::to_string(out.size()) + " packages; the others were left out");
        break;
      }
      out.push_back({at.path, at.tree, r.facts});
      continue;
    }
    if (r.kind == tree_kind::package)
      report("Kptfile", "lies in the repository's directory itself, so its package would have no name");
    else if (r.problem != 0)
      report(at.path, std::string{index.texts[r.problem]});
    entries += r.entries;
    if (entries > s_.limits.max_tree_entries) {
      report({}, "the branch holds more than " + std::to_string(s_.limits.max_tree_entries) + " entries; the rest was left out");
      break;
    }
    for (std::uint32_t c = r.child_count; c-- > 0;) { // so that they are taken in stored order
      const child_record& child = index.children[r.first_child + c];
      auto path = below(at.path, index.texts[child.name]);
      if (path.size() > max_name_bytes) {
        report(at.path, "holds a directory whose path is longer than " + std::to_string(max_name_bytes) + " bytes, which was left out");
        continue;
      }
      path_bytes += path.size();
      if (path_bytes > max_path_bytes) {
        report({}, "the paths of the branch's directories take more than " + std::to_string(max_path_bytes) + " bytes; the rest was left out");
        return out;
      }
      todo.push_back({child.id, std::move(path), at.depth + 1});
    }
  }
  return out;
}

} // namespace veranda::logic
