#include "adapters/kpt/schema.hpp"

#include <array>

namespace veranda::kpt {

namespace {

using enum value_kind;

constexpr std::array metadata_fields{
    field{"name"},
    field{"namespace"},
    field{"labels", text_map, nullptr, keep::labels},
    field{"annotations", text_map, nullptr, keep::annotations},
};
constexpr shape metadata{metadata_fields};

constexpr std::array git_fields{field{"repo"}, field{"directory"}, field{"ref"}};
constexpr shape git{git_fields};

constexpr std::array upstream_fields{
    field{"type"},
    field{"git", object, &git},
    field{"updateStrategy"},
    field{"preserveExplicitNull", boolean},
};
constexpr shape upstream{upstream_fields};

constexpr std::array git_lock_fields{
    field{"repo", text, nullptr, keep::lock_repo},
    field{"directory", text, nullptr, keep::lock_directory},
    field{"ref", text, nullptr, keep::lock_ref},
    field{"commit", text, nullptr, keep::lock_commit},
};
constexpr shape git_lock_shape{git_lock_fields};
constexpr std::array generic_lock_fields{field{"storeID"}, field{"resourceID"}, field{"resourceVersion"}};
constexpr shape generic_lock{generic_lock_fields};
constexpr std::array upstream_lock_fields{
    field{"type"},
    field{"git", object, &git_lock_shape, keep::lock},
    field{"generic", object, &generic_lock},
};
constexpr shape upstream_lock{upstream_lock_fields};

constexpr std::array gate_fields{field{"conditionType", text, nullptr, keep::gate_type}};
constexpr shape gate{gate_fields};
constexpr std::array info_fields{
    field{"site"},
    field{"emails", text_list},
    field{"license"},
    field{"licenseFile"},
    field{"description"},
    field{"keywords", text_list},
    field{"man"},
    field{"readinessGates", object_list, &gate, keep::gate},
};
constexpr shape info{info_fields};

constexpr std::array selector_fields{
    field{"apiVersion"}, field{"kind"}, field{"name"}, field{"namespace"}, field{"labels", text_map}, field{"annotations", text_map},
};
constexpr shape selector{selector_fields};
constexpr std::array reference_fields{field{"apiVersion"}, field{"kind"}, field{"name"}, field{"namespace"}};
constexpr shape reference{reference_fields};
constexpr std::array function_fields{
    field{"image"},
    field{"exec"},
    field{"configPath"},
    field{"configMap", text_map},
    field{"configRef", object, &reference},
    field{"name"},
    field{"tag"},
    field{"selectors", object_list, &selector},
    field{"exclude", object_list, &selector},
    field{"when"},
    field{"resourceFileRegexp"},
};
constexpr shape function{function_fields};
constexpr std::array pipeline_fields{
    field{"mutators", object_list, &function},
    field{"validators", object_list, &function},
};
constexpr shape pipeline{pipeline_fields};

constexpr std::array inventory_fields{
    field{"namespace"}, field{"name"}, field{"inventoryID"}, field{"labels", text_map}, field{"annotations", text_map},
};
constexpr shape inventory{inventory_fields};

constexpr std::array condition_fields{
    field{"type", text, nullptr, keep::condition_type},
    field{"status", text, nullptr, keep::condition_status},
    field{"reason", text, nullptr, keep::condition_reason},
    field{"message", text, nullptr, keep::condition_message},
};
constexpr shape condition{condition_fields};
constexpr std::array step_fields{
    field{"name"},
    field{"image"},
    field{"exec"},
    field{"executionError"},
    field{"stderr"},
    field{"exitCode", integer},
    field{"results", anything},
    field{"errorResults", anything},
    field{"when"},
    field{"skipped", boolean},
};
constexpr shape step{step_fields};
constexpr std::array render_fields{
    field{"mutationSteps", object_list, &step},
    field{"validationSteps", object_list, &step},
    field{"errorSummary"},
};
constexpr shape render{render_fields};
constexpr std::array status_fields{
    field{"conditions", object_list, &condition, keep::condition},
    field{"renderStatus", object, &render},
};
constexpr shape status{status_fields};

constexpr std::array kptfile_fields{
    field{"apiVersion", text, nullptr, keep::api_version},
    field{"kind", text, nullptr, keep::kind},
    field{"metadata", object, &metadata},
    field{"upstream", object, &upstream},
    field{"upstreamLock", object, &upstream_lock},
    field{"info", object, &info},
    field{"pipeline", object, &pipeline},
    field{"inventory", object, &inventory},
    field{"status", object, &status},
};
constexpr shape kptfile{kptfile_fields};

} // namespace

const shape& kptfile_shape() { return kptfile; }

} // namespace veranda::kpt
