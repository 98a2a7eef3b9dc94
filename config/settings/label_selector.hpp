#pragma once

#include <string_view>

namespace veranda::config {

/// Whether an API server takes this as a label selector: requirements with commas, each of them `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (v,w)`, `k notin (v,w)`,
/// `k>n` or `k<n`, of label keys and values by Kubernetes' rules (apimachinery, labels). Pure.
[[nodiscard]] bool is_label_selector(std::string_view text);

} // namespace veranda::config
