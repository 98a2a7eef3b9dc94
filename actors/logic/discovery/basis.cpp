#include "actors/logic/discovery/discovery.hpp"
#include "actors/logic/discovery/rules.hpp"

namespace veranda::logic {

bool is_visible(std::string_view ref, std::string_view branch, std::string_view directory) {
  if (ref.starts_with(heads_prefix) && ref.substr(heads_prefix.size()) == branch)
    return true;
  const parsed_ref parsed = parse_ref(ref);
  if (parsed.kind == ref_kind::other)
    return false;
  return parsed.path.empty() ? directory.empty() : in_directory(parsed.path, directory);
}

sync_basis basis_of(const ref_table& refs, const object_key& key, const repository_spec& spec) {
  sha256_hasher hasher;
  sync_basis out;
  hasher.update_field("veranda discovery " + std::to_string(discovery_rules_version));
  hasher.update_field(key.ns);
  hasher.update_field(key.name);
  if (spec.git) {
    sha256_hasher source;
    for (const std::string* field : {&spec.git->repo, &spec.git->branch, &spec.git->directory}) {
      hasher.update_field(*field);
      source.update_field(*field);
    }
    out.source = to_hex(source.finish());
    std::string line;
    for (const ref_entry& ref : refs.refs) {
      if (!is_visible(ref.name, spec.git->branch, spec.git->directory))
        continue;
      line.assign(reinterpret_cast<const char*>(ref.target.bytes.data()), ref.target.bytes.size()).append(ref.name);
      hasher.update_field(line);
    }
    if (const ref_entry* tip = refs.find(std::string{heads_prefix} + spec.git->branch))
      out.commit = tip->target.hex();
  }
  out.digest = to_hex(hasher.finish());
  return out;
}

} // namespace veranda::logic
