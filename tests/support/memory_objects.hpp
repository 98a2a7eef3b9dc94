#pragma once

#include "actors/logic/discovery/object_reader.hpp"
#include "messages/model/digest.hpp"
#include "messages/model/refs.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace veranda::test {

/// Who wrote a commit and when, in Unix seconds.
struct stamp {
  std::string email = "author@example.com";
  std::int64_t authored = 0;
  std::int64_t committed = 0;
};

/// Files of a tree by path; a `/`-separated path makes directories.
using file_map = std::map<std::string, std::string>;

/// A git object database in memory with real object ids, and the refs of a remote. Counts what is read.
class memory_objects final : public logic::object_reader {
public:
  struct raw_entry {
    std::string mode;
    std::string name;
    oid id;
  };

  oid add(logic::git_object_type type, std::string data) {
    const std::string_view name = type == logic::git_object_type::commit ? "commit"
                                  : type == logic::git_object_type::tree ? "tree"
                                  : type == logic::git_object_type::blob ? "blob"
                                                                         : "tag";
    std::string whole{name};
    whole.append(" ").append(std::to_string(data.size())).push_back('\0');
    oid id;
    id.bytes = sha1(whole + data);
    objects_.insert_or_assign(id, logic::git_object{type, std::move(data)});
    return id;
  }

  oid blob(std::string data) { return add(logic::git_object_type::blob, std::move(data)); }

  /// Entries as given, in the given order.
  oid raw_tree(const std::vector<raw_entry>& entries) {
    std::string data;
    for (const raw_entry& e : entries) {
      data.append(e.mode).append(" ").append(e.name).push_back('\0');
      data.append(reinterpret_cast<const char*>(e.id.bytes.data()), e.id.bytes.size());
    }
    return add(logic::git_object_type::tree, std::move(data));
  }

  /// Entries in git's order.
  oid sorted_tree(std::vector<raw_entry> entries) {
    const auto key = [](const raw_entry& e) { return e.mode == "40000" ? e.name + '/' : e.name; };
    std::sort(entries.begin(), entries.end(), [&](const raw_entry& a, const raw_entry& b) { return key(a) < key(b); });
    return raw_tree(entries);
  }

  /// A tree of regular files.
  oid tree(const file_map& files) {
    std::map<std::string, file_map> directories;
    std::vector<raw_entry> entries;
    for (const auto& [path, content] : files) {
      const std::size_t slash = path.find('/');
      if (slash == std::string::npos)
        entries.push_back({"100644", path, blob(content)});
      else
        directories[path.substr(0, slash)].emplace(path.substr(slash + 1), content);
    }
    for (const auto& [name, below] : directories)
      entries.push_back({"40000", name, tree(below)});
    return sorted_tree(std::move(entries));
  }

  oid commit(const oid& tree, const std::vector<oid>& parents, const stamp& when, std::string_view message) {
    std::string data = "tree " + tree.hex() + '\n';
    for (const oid& parent : parents)
      data += "parent " + parent.hex() + '\n';
    data += "author A U Thor <" + when.email + "> " + std::to_string(when.authored) + " +0200\n";
    data += "committer C O Mitter <committer@example.com> " + std::to_string(when.committed) + " -0500\n\n";
    data += message;
    return add(logic::git_object_type::commit, std::move(data));
  }

  /// An annotated tag.
  oid tag(const oid& object, std::string_view type, std::string_view name) {
    std::string data = "object " + object.hex() + "\ntype ";
    data.append(type).append("\ntag ").append(name).append("\ntagger T A Gger <tagger@example.com> 1700000000 +0000\n\nmessage\n");
    return add(logic::git_object_type::tag, std::move(data));
  }

  void set_ref(const std::string& name, const oid& target) { refs_.insert_or_assign(name, target); }
  void remove_ref(const std::string& name) { refs_.erase(name); }
  void forget(const oid& id) { objects_.erase(id); }
  [[nodiscard]] const std::map<std::string, oid>& refs() const { return refs_; }

  [[nodiscard]] ref_table_ptr table() const {
    auto out = std::make_shared<ref_table>();
    for (const auto& [name, target] : refs_)
      out->refs.push_back({name, target, {}});
    return out;
  }

  /// The object itself, not counted.
  [[nodiscard]] const logic::git_object* peek(const oid& id) const {
    const auto at = objects_.find(id);
    return at == objects_.end() ? nullptr : &at->second;
  }

  result<logic::git_object> read(const oid& id, std::uint64_t max_bytes = logic::most_object_bytes) override {
    ++reads_[id];
    const auto* object = peek(id);
    if (object != nullptr && object->data.size() > max_bytes)
      return failure{ec::too_large, "is larger than " + std::to_string(max_bytes) + " bytes", id.hex(), {}, {}};
    if (object != nullptr)
      return *object;
    return failure{ec::not_found, "no such object", id.hex(), {}, {}};
  }
  result<logic::git_object_header> header(const oid& id) override {
    if (const auto* object = peek(id))
      return logic::git_object_header{object->type, object->data.size()};
    return failure{ec::not_found, "no such object", id.hex(), {}, {}};
  }

  /// How often each object was read since the last `clear_reads`.
  [[nodiscard]] const std::unordered_map<oid, std::size_t>& reads() const { return reads_; }
  void clear_reads() { reads_.clear(); }

private:
  std::unordered_map<oid, logic::git_object> objects_;
  std::map<std::string, oid> refs_;
  std::unordered_map<oid, std::size_t> reads_;
};

/// A Kptfile that decodes.
inline std::string kptfile(std::string_view name, std::string_view more = {}) {
  std::string out = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: ";
  out.append(name).append("\n").append(more);
  return out;
}

/// A `kpt:` line as Porch writes it; empty fields are left out.
inline std::string annotation(std::string_view package, std::string_view workspace, std::string_view revision = {}, std::string_view task_type = {}) {
  std::string out = "kpt:{\"package\":\"" + std::string{package} + '"';
  if (!workspace.empty())
    out.append(",\"workspaceName\":\"").append(workspace).append("\"");
  if (!revision.empty())
    out.append(",\"revision\":\"").append(revision).append("\"");
  if (!task_type.empty())
    out.append(",\"task\":{\"type\":\"").append(task_type).append("\"}");
  return out + "}\n";
}

} // namespace veranda::test
