#include "actors/api/explanation_json.hpp"

#include "actors/logic/explanation.hpp"

#include <nlohmann/json.hpp>

namespace veranda {

namespace {

using json = nlohmann::ordered_json;

double seconds(std::chrono::milliseconds d) { return static_cast<double>(d.count()) / 1000.0; }

void put(json& into, const char* name, const std::optional<wall_time>& at) {
  if (at)
    into[name] = format_rfc3339(*at);
}

void put(json& into, const char* name, const std::string& text) {
  if (!text.empty())
    into[name] = text;
}

json next_of(const logic::explanation& told) {
  json next = json::object();
  if (!told.planned.empty()) {
    put(next, "time", told.planned.front().at);
    next["cause"] = told.planned.front().cause;
  }
  next["why"] = told.next_why;
  return next;
}

json schedule_of(const sync_plan& plan) {
  json schedule = json::object();
  put(schedule, "expression", plan.expression);
  put(schedule, "problem", plan.schedule_problem);
  if (plan.expression.empty() || !plan.schedule_problem.empty())
    schedule["every"] = format_go_duration(plan.period);
  schedule["timeZone"] = plan.time_zone;
  schedule["next"] = json::array();
  for (const auto at : plan.upcoming)
    schedule["next"].push_back(format_rfc3339(at));
  return schedule;
}

json running_of(const sync_plan::under_way& run, const std::string& phase) {
  return {{"syncID", run.sync_id}, {"cause", to_string(run.cause)}, {"full", run.full}, {"started", format_rfc3339(run.started)}, {"phase", phase}};
}

json run_of(const sync_run& run) {
  const auto& p = run.phases;
  json out{{"syncID", run.sync_id},
           {"cause", to_string(run.cause)},
           {"started", format_rfc3339(run.started)},
           {"outcome", !run.ok ? "error" : run.unchanged ? "unchanged" : "ok"},
           {"seconds", seconds(run.duration)},
           {"phases",
            {{"listing", seconds(p.listing)}, {"waiting", seconds(p.waiting)}, {"fetch", seconds(p.fetch)}, {"discovery", seconds(p.discovery)}, {"apply", seconds(p.apply)}}},
           {"counts",
            {{"cachedOnly", run.stats.cached_only},
             {"externalOnly", run.stats.external_only},
             {"both", run.stats.both},
             {"changed", run.stats.changed},
             {"bad", run.stats.bad},
             {"fetchedBytes", run.stats.fetched_bytes}}}};
  put(out, "error", run.error);
  return out;
}

json mirror_of(const mirror_facts& mirror) {
  json out{{"bytes", mirror.bytes}, {"lastUsed", format_rfc3339(mirror.last_used)}};
  put(out, "removed", mirror.removed);
  return out;
}

json last_error_of(const msg::repository_state_view& view, const std::string& advice) {
  const auto& wrong = view.plan.invalid ? view.plan.invalid : view.plan.error;
  if (!wrong)
    return nullptr;
  return {{"code", to_string(wrong->code)}, {"error", describe(*wrong)}, {"advice", advice}};
}

} // namespace

std::string explanation_json(const object_key& key, const msg::repository_state_view& view, const std::optional<mirror_facts>& mirror, wall_time now) {
  const auto told = logic::explain({view.plan, view.durable, view.status, view.phase, view.place}, now);
  const auto& d = view.durable;
  json out{{"kind", "RepositoryExplanation"}, {"namespace", key.ns}, {"name", key.name}, {"time", format_rfc3339(now)}, {"state", told.state}, {"why", told.why}};
  put(out, "queue", view.place);
  if (view.plan.running)
    out["running"] = running_of(*view.plan.running, view.phase);
  out["next"] = next_of(told);
  out["planned"] = json::array();
  for (const auto& next : told.planned)
    out["planned"].push_back({{"time", format_rfc3339(*next.at)}, {"cause", next.cause}});
  out["schedule"] = schedule_of(view.plan);
  put(out, "lastSuccess", d.last_success);
  put(out, "commit", d.basis.commit);
  out["packages"] = d.packages;
  out["revisions"] = d.revisions;
  out["bad"] = d.bad_count;
  if (mirror)
    out["mirror"] = mirror_of(*mirror);
  if (auto error = last_error_of(view, told.advice); !error.is_null())
    out["lastError"] = std::move(error);
  out["notes"] = told.notes;
  out["runs"] = json::array();
  for (const auto& run : d.runs)
    out["runs"].push_back(run_of(run));
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

} // namespace veranda
