#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/discovery/git_objects.hpp"
#include "actors/logic/discovery/rules.hpp"
#include "actors/logic/discovery/text.hpp"

#include <algorithm>

namespace veranda::logic {

namespace {

/// Of all entries of a package together: a small tree that holds itself many times over has long paths.
constexpr std::size_t max_path_bytes = 64U << 20U;

/// Lists one package. Nothing here may end the whole but a missing object or a damaged store.
class lister {
public:
  lister(object_reader& reader, const discovery_limits& limits, bad_items& bad) : reader_(reader), limits_(limits), bad_(bad) {}

  result<package_tree> run(const oid& root) {
    out_.tree = root;
    todo_.push_back({root, {}, 0});
    while (!todo_.empty() && !full_) {
      const place at = std::move(todo_.back());
      todo_.pop_back();
      if (auto done = list(at); !done)
        return std::move(done).error();
    }
    std::stable_sort(out_.files.begin(), out_.files.end(), [](const package_file& a, const package_file& b) { return a.path < b.path; });
    drop_repeated();
    return std::move(out_);
  }

private:
  struct place {
    oid tree;
    std::string path;
    std::uint32_t depth;
  };

  void report(std::string_view path, std::string reason) { bad_.add(printable(path), std::move(reason), false); }

  result<void> list(const place& at) {
    if (at.depth > limits_.max_tree_depth) {
      report(at.path, "lies deeper than " + std::to_string(limits_.max_tree_depth) + " directories and was left out");
      return {};
    }
    auto object = reader_.read(at.tree, limits_.max_object_bytes);
    if (!object && object.error().code != ec::too_large)
      return std::move(object).error();
    if (!object) {
      report(at.path, "is a directory of more than " + std::to_string(limits_.max_object_bytes) + " bytes and was left out");
      return {};
    }
    if (object->type != git_object_type::tree) {
      report(at.path, "is a " + std::string{to_string(object->type)} + ", not a directory, and was left out");
      return {};
    }
    tree_cursor cursor{object->data};
    for (tree_entry entry; !full_ && cursor.next(entry);)
      if (auto done = take(at, entry); !done)
        return done;
    if (cursor.malformed())
      report(at.path, "is a malformed directory; what follows the fault was left out");
    return {};
  }

  result<void> take(const place& at, const tree_entry& entry) {
    std::string path = at.path;
    if (!path.empty())
      path += '/';
    path += entry.name.substr(0, max_name_bytes + 1);
    if (++entries_ > limits_.max_tree_entries) {
      report(path, "the package holds more than " + std::to_string(limits_.max_tree_entries) + " entries; the rest was left out");
      full_ = true;
      return {};
    }
    path_bytes_ += path.size();
    if (path_bytes_ > max_path_bytes) {
      report(path, "the paths of the package take more than " + std::to_string(max_path_bytes) + " bytes; the rest was left out");
      full_ = true;
      return {};
    }
    if (entry.kind == entry_kind::submodule)
      return {};
    std::string problem = path_problem(path);
    if (problem.empty() && is_git_directory(entry.name))
      problem = "is named like git's own directory";
    if (problem.empty() && entry.kind == entry_kind::unknown)
      problem = "has an unknown file mode";
    if (!problem.empty()) {
      report(path, problem + " and was left out");
      return {};
    }
    if (entry.kind == entry_kind::tree) {
      todo_.push_back({entry.id, std::move(path), at.depth + 1});
      return {};
    }
    return add_file(std::move(path), entry);
  }

  result<void> add_file(std::string path, const tree_entry& entry) {
    if (out_.files.size() == limits_.max_files_per_package) {
      report(path, "the package holds more than " + std::to_string(limits_.max_files_per_package) + " files; the rest was left out");
      full_ = true;
      return {};
    }
    auto header = reader_.header(entry.id);
    if (!header && header.error().code != ec::too_large)
      return std::move(header).error();
    if (header && header->type != git_object_type::blob) {
      report(path, "is a " + std::string{to_string(header->type)} + ", not a file, and was left out");
      return {};
    }
    package_file file{std::move(path), kind_of(entry.kind), entry.id, header ? header->size_bytes : 0};
    if (!header || file.size_bytes > limits_.max_resource_bytes) {
      file.kind = file_kind::omitted_too_large;
      report(file.path, "is larger than " + std::to_string(limits_.max_resource_bytes) + " bytes; its content is not kept");
    }
    out_.files.push_back(std::move(file));
    return {};
  }

  /// A hostile tree may name an entry twice: the first counts.
  void drop_repeated() {
    const auto same = [this](const package_file& a, const package_file& b) {
      if (a.path != b.path)
        return false;
      report(b.path, "is there twice; only the first is kept");
      return true;
    };
    out_.files.erase(std::unique(out_.files.begin(), out_.files.end(), same), out_.files.end());
  }

  static bool is_git_directory(std::string_view name) {
    return name.size() == 4 && name[0] == '.' && (name[1] | 0x20) == 'g' && (name[2] | 0x20) == 'i' && (name[3] | 0x20) == 't';
  }

  static file_kind kind_of(entry_kind kind) {
    return kind == entry_kind::symlink ? file_kind::symlink : kind == entry_kind::executable ? file_kind::executable : file_kind::regular;
  }

  object_reader& reader_;
  const discovery_limits& limits_;
  bad_items& bad_;
  package_tree out_;
  std::vector<place> todo_;
  std::uint64_t entries_ = 0;
  std::size_t path_bytes_ = 0;
  bool full_ = false;
};

} // namespace

result<package_tree> list_package(const oid& tree, object_reader& reader, const discovery_limits& limits, bad_items& bad) {
  return lister{reader, limits, bad}.run(tree);
}

} // namespace veranda::logic
