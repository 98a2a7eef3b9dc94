#include "actors/logic/discovery/git_objects.hpp"
#include "adapters/git/disk_mirror.hpp"

#include <vector>

namespace veranda::git {

namespace {

using logic::git_object_type;

constexpr std::size_t look_interval = 256; ///< objects between looks at the token

/// Follows what objects name, each once. Blobs are not read.
class walk {
public:
  walk(logic::object_reader& objects, const cancel_token& cancel) : objects_(objects), cancel_(cancel) {}

  result<std::unordered_set<oid>> run(const ref_table& refs) {
    for (const auto& ref : refs.refs) {
      auto known = objects_.header(ref.target);
      if (!known) return std::move(known).error();
      note(ref.target, known->type != git_object_type::blob);
    }
    for (std::size_t n = 0; !unread_.empty(); ++n) {
      if (n % look_interval == 0 && cancel_.expired()) return failure{cancel_.reason(), "looking for what refs lead to was stopped", {}, {}, {}};
      const auto id = unread_.back();
      unread_.pop_back();
      auto object = objects_.read(id);
      if (!object) return std::move(object).error();
      if (!follow(*object)) return failure{ec::checksum_mismatch, "object " + id.hex() + " of the mirror cannot be understood", {}, {}, {}};
    }
    return std::move(found_);
  }

private:
  void note(const oid& id, bool names_others) {
    if (found_.insert(id).second && names_others) unread_.push_back(id);
  }

  bool follow(const logic::git_object& object) {
    switch (object.type) {
      case git_object_type::commit: return follow_commit(object.data);
      case git_object_type::tree: return follow_tree(object.data);
      case git_object_type::tag: return follow_tag(object.data);
      case git_object_type::blob: return true;
    }
    return false;
  }

  bool follow_commit(std::string_view text) {
    const auto commit = logic::parse_commit(text);
    if (!commit) return false;
    note(commit->tree, true);
    for (const auto& parent : commit->parents) note(parent, true);
    return true;
  }

  /// A submodule's commit is elsewhere. What is of no known kind is taken for something that names others, and turns out to be what it is when it is read.
  bool follow_tree(std::string_view text) {
    logic::tree_cursor entries{text};
    for (logic::tree_entry entry; entries.next(entry);)
      if (entry.kind != logic::entry_kind::submodule) note(entry.id, entry.kind == logic::entry_kind::tree || entry.kind == logic::entry_kind::unknown);
    return !entries.malformed();
  }

  bool follow_tag(std::string_view text) {
    const auto tag = logic::parse_tag(text);
    if (tag) note(tag->object, tag->type != "blob");
    return tag.has_value();
  }

  logic::object_reader& objects_;
  const cancel_token& cancel_;
  std::unordered_set<oid> found_;
  std::vector<oid> unread_; ///< of those found
};

} // namespace

result<std::unordered_set<oid>> reachable_objects(const ref_table& refs, logic::object_reader& objects, const cancel_token& cancel) { return walk{objects, cancel}.run(refs); }

} // namespace veranda::git
