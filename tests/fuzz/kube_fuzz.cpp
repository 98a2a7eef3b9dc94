// links: veranda_adapter_kube
// Any bytes from an API server are read within bounds: as a list, a watch stream, a Status, an object; as a kubeconfig or a plugin's output. An item without a
// usable name carries a problem; a stream gives the same events however it is cut; texts of failures are one line.
#include "adapters/kube/api_answer.hpp"
#include "adapters/kube/exec_credential.hpp"
#include "adapters/kube/kubeconfig.hpp"
#include "adapters/kube/line_splitter.hpp"
#include "adapters/kube/object_decoder.hpp"
#include "adapters/kube/repository_events.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace veranda;
using namespace veranda::kube;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const failure& f) { require(!f.what.empty() && describe(f).find('\n') == std::string::npos && describe(f).size() < 4'000); }

void check(const api_object& o) {
  require(!o.key.name.empty() || o.problem.has_value());
  require(o.json.size() <= 20'000);
  for (const auto& p : to_repository(o).problems) require(!p.rule.empty());
}

std::vector<api_event> stream(std::string_view text, std::size_t piece) {
  object_decoder decoder{"Repository", "config.porch.kpt.dev/v1alpha1", {.max_object_bytes = 10'000}};
  line_splitter lines{20'000};
  std::vector<api_event> out;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const bool whole = lines.feed(text.substr(at, piece), [&](std::string line) {
      auto event = decoder.event(std::move(line));
      if (!event) check(event.error());
      else if (*event) out.push_back(**std::move(event));
    });
    require(lines.pending_bytes() <= 20'000);
    if (!whole) break;
  }
  return out;
}

void read_as_list(const std::string& text) {
  object_decoder decoder{"Repository", "config.porch.kpt.dev/v1alpha1", {.max_object_bytes = 10'000}};
  const auto page = decoder.list(text);
  if (!page) return check(page.error());
  for (const auto& item : page->items) check(item);
}

void read_as_answer(const std::string& text, int status) {
  const auto request = get_request(repositories(), {"a", "b"});
  const auto body = body_of({status, "application/json", text, {}, {}}, request);
  if (!body) check(body.error());
  object_decoder decoder{"Repository", "config.porch.kpt.dev/v1alpha1", {.max_object_bytes = 10'000}};
  const auto object = decoder.object(text);
  if (object) check(*object);
  else check(object.error());
}

void read_as_configuration(const std::string& text) {
  const auto parsed = parse_kubeconfig(text, "/f");
  if (!parsed) return check(parsed.error());
  for (const auto& [name, context] : parsed->contexts) {
    const auto config = select_context(*parsed, name);
    if (config) require(parse_server_url(config->cluster.server.text()).ok());
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
  constexpr int statuses[] = {200, 400, 403, 404, 409, 410, 422, 429, 500, 504};
  switch (data[0] % 5) {
    case 0: read_as_list(text); break;
    case 1: {
      const auto events = stream(text, text.size() + 1);
      require(text.size() > 20'000 || events == stream(text, 7));
      for (const auto& e : events)
        if (e.type == api_event_type::error) check(*e.why);
        else if (e.type != api_event_type::bookmark) check(e.object);
      break;
    }
    case 2: read_as_answer(text, statuses[data[0] / 5 % std::size(statuses)]); break;
    case 3: read_as_configuration(text); break;
    default: {
      const exec_plugin plugin{"client.authentication.k8s.io/v1", "p", {}, {}, false, {}};
      const auto read = parse_exec_credential(plugin, text);
      if (!read) check(read.error());
    }
  }
  return 0;
}
