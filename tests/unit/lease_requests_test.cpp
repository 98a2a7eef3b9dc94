// links: veranda_adapter_kube
#define BOOST_TEST_MODULE lease_requests
#include "adapters/kube/lease_requests.hpp"

#include <boost/test/unit_test.hpp>
#include <nlohmann/json.hpp>

using namespace veranda;
using namespace veranda::kube;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const object_key key{"house", "veranda"};
const wall_time noon = *parse_rfc3339("2026-03-10T12:00:00Z");
const logic::lease_record mine{"me", 15, noon + 250ms, noon + 1s + 7us, 4};

const std::string metadata = R"("metadata":{"name":"veranda","namespace":"house","uid":"u1","resourceVersion":"12"})";

std::string lease_with(const std::string& spec) { return R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease",)" + metadata + R"(,"spec":)" + spec + "}"; }

api_answer answered(int status, std::string body) {
  api_answer a;
  a.status = status;
  a.content_type = "application/json";
  a.body = std::move(body);
  return a;
}

std::string refusal(const std::string& reason, const std::string& details) { return R"({"kind":"Status","status":"Failure","reason":")" + reason + R"(","details":)" + details + "}"; }

} // namespace

BOOST_AUTO_TEST_CASE(times_have_six_digits) {
  BOOST_TEST(format_micro_time(noon) == "2026-03-10T12:00:00.000000Z");
  BOOST_TEST(format_micro_time(noon + 1s + 7us + 999ns) == "2026-03-10T12:00:01.000007Z");
  BOOST_TEST(format_micro_time(wall_time{} - 1us) == "1969-12-31T23:59:59.999999Z");
}

BOOST_AUTO_TEST_CASE(requests_name_the_lease_and_are_bounded) {
  const auto read = read_lease_request(key, 5s);
  BOOST_TEST((read.method == api_method::get));
  BOOST_TEST(read.target == "/apis/coordination.k8s.io/v1/namespaces/house/leases/veranda");
  const auto create = create_lease_request(key, {mine, 4s});
  BOOST_TEST((create.method == api_method::post));
  BOOST_TEST(create.target == "/apis/coordination.k8s.io/v1/namespaces/house/leases?fieldManager=veranda");
  const auto replace = replace_lease_request(key, {mine, {{}, "u1", "12", lease_with("{}")}, 3s});
  BOOST_TEST((replace.method == api_method::put));
  BOOST_TEST(replace.target == "/apis/coordination.k8s.io/v1/namespaces/house/leases/veranda?fieldManager=veranda");
  for (const auto* r : {&read, &create, &replace}) {
    BOOST_TEST(r->object == "leases.coordination.k8s.io house/veranda");
    BOOST_TEST(r->max_bytes == 256U << 10U);
  }
  BOOST_TEST((read.timeout == 5s && create.timeout == 4s && replace.timeout == 3s));
}

BOOST_AUTO_TEST_CASE(a_new_lease) {
  const auto body = json::parse(create_lease_request(key, {mine, 5s}).body);
  BOOST_TEST(body == json::parse(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"veranda","namespace":"house"},
    "spec":{"holderIdentity":"me","leaseDurationSeconds":15,"leaseTransitions":4,"acquireTime":"2026-03-10T12:00:00.250000Z","renewTime":"2026-03-10T12:00:01.000007Z"}})"));
}

BOOST_AUTO_TEST_CASE(what_is_not_ours_is_kept) {
  const std::string there = R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"veranda","namespace":"house","uid":"u1","resourceVersion":"12",
    "labels":{"a":"b"},"managedFields":[{"manager":"x"}]},"spec":{"holderIdentity":"other","strategy":"OldestEmulationVersion","leaseDurationSeconds":3}})";
  const auto body = json::parse(replace_lease_request(key, {{"", 1, {}, {}, 4}, {{}, "u1", "12", there}, 5s}).body);
  BOOST_TEST(body == json::parse(R"({"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"veranda","namespace":"house","uid":"u1","resourceVersion":"12",
    "labels":{"a":"b"}},"spec":{"holderIdentity":"","strategy":"OldestEmulationVersion","leaseDurationSeconds":1,"leaseTransitions":4}})"));
}

BOOST_AUTO_TEST_CASE(a_lease_that_was_no_object_is_written_whole) {
  for (const char* there : {"", "7", "[]", R"({"metadata":null,"spec":[]})"}) {
    const auto body = json::parse(replace_lease_request(key, {mine, {{}, "u1", "12", there}, 5s}).body);
    BOOST_TEST(body["metadata"] == json::parse(R"({"name":"veranda","namespace":"house","uid":"u1","resourceVersion":"12"})"));
    BOOST_TEST(body["spec"]["holderIdentity"] == "me");
  }
}

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  const auto body = json::parse(create_lease_request(key, {mine, 5s}).body)["spec"].dump();
  const auto read = decode_lease(lease_with(body), key);
  BOOST_REQUIRE(read.ok());
  BOOST_TEST((read->record == mine));
  BOOST_TEST(read->uid == "u1");
  BOOST_TEST(read->resource_version == "12");
}

BOOST_AUTO_TEST_CASE(what_is_missing_or_null_says_nothing) {
  for (const char* spec : {"{}", "null", R"({"holderIdentity":null,"leaseDurationSeconds":null,"acquireTime":null,"renewTime":null,"leaseTransitions":null,"leaseDurationSec":15})"}) {
    const auto read = decode_lease(lease_with(spec), key);
    BOOST_REQUIRE(read.ok());
    BOOST_TEST((read->record == logic::lease_record{}));
  }
}

BOOST_AUTO_TEST_CASE(what_is_no_lease_is_refused) {
  for (const auto& text : {std::string{"{}"}, std::string{"[]"}, std::string{"nonsense"}, std::string{R"({"kind":"Pod",)" + metadata + "}"}, std::string{R"({"kind":"Lease"})"},
                           std::string{R"({"kind":"Lease","metadata":{"name":"veranda","uid":"u1"}})"}, std::string{R"({"kind":"Lease","metadata":{"name":"other","uid":"u1","resourceVersion":"1"}})"},
                           lease_with("[]"), lease_with(R"({"holderIdentity":5})"), lease_with(R"({"leaseDurationSeconds":"15"})"), lease_with(R"({"leaseDurationSeconds":1.5})"),
                           lease_with(R"({"renewTime":"yesterday"})"), lease_with(R"({"acquireTime":7})"), lease_with(R"({"leaseTransitions":{}})")}) {
    const auto read = decode_lease(text, key);
    BOOST_TEST_CONTEXT(text) {
      BOOST_REQUIRE(!read.ok());
      BOOST_TEST((read.error().code == ec::unavailable));
    }
  }
}

BOOST_AUTO_TEST_CASE(only_an_api_server_knows_that_it_is_missing) {
  const auto request = read_lease_request(key, 5s);
  const auto missing = lease_of(answered(404, refusal("NotFound", R"({"name":"veranda","kind":"leases"})")), request, key);
  BOOST_REQUIRE(missing.ok());
  BOOST_TEST(!missing->has_value());
  const auto found = lease_of(answered(200, lease_with("{}")), request, key);
  BOOST_REQUIRE((found.ok() && found->has_value()));
  for (const auto& other : {answered(404, refusal("NotFound", "{}")), answered(404, "<html>"), answered(404, ""), answered(403, refusal("Forbidden", R"({"name":"veranda"})")),
                            answered(200, "<html>"), answered(200, ""), answered(200, R"({"kind":"Status"})")})
    BOOST_TEST(!lease_of(other, request, key).ok());
  BOOST_TEST((lease_of(failure{ec::timed_out, "x", {}, {}, {}}, request, key).error().code == ec::timed_out));
}

BOOST_AUTO_TEST_CASE(a_refused_write_is_a_conflict) {
  const auto request = create_lease_request(key, {mine, 5s});
  for (const char* reason : {"Conflict", "AlreadyExists"})
    BOOST_TEST((stored_lease(answered(409, refusal(reason, R"({"name":"veranda"})")), request, key).error().code == ec::conflict));
  BOOST_TEST((stored_lease(answered(404, refusal("NotFound", R"({"name":"house","kind":"namespaces"})")), request, key).error().code == ec::not_found));
  BOOST_TEST(stored_lease(answered(201, lease_with("{}")), request, key).ok());
}
