#pragma once

#include "adapters/kube/api_client.hpp"

#include <deque>
#include <functional>
#include <map>

namespace veranda::test {

/// An API client whose server is a function. Calls are answered in `run_for`, in order, or when the test says so.
class fake_api_client final : public kube::api_client {
public:
  using server = std::function<result<kube::api_answer>(const kube::api_request&)>;

  call_id start(kube::api_request request, callback done) override {
    asked.push_back(std::string{to_string(request.method)} + " " + request.target);
    requests.push_back(request);
    waiting_.push_back({++last_, std::move(request), std::move(done)});
    return last_;
  }
  void cancel(call_id id) override {
    for (auto& w : waiting_)
      if (w.id == id)
        w.cancelled = true;
  }
  void abandon() override {
    for (auto& one : std::exchange(waiting_, {}))
      one.done(failure{ec::shutting_down, "the program ends", {}, {}, {}});
  }
  std::unique_ptr<kube::api_watch> watch(kube::api_request request, const kube::resource_type&, std::chrono::seconds) override { return watches ? watches(request) : nullptr; }
  void run_for(std::chrono::milliseconds) override {
    if (hold)
      return;
    for (auto& one : std::exchange(waiting_, {}))
      one.done(one.cancelled ? result<kube::api_answer>{failure{ec::cancelled, "cancelled", {}, {}, {}}} : answers(one.request));
  }
  void wake() override { ++wakes; }
  [[nodiscard]] std::size_t active() const override { return hold ? 0 : waiting_.size(); } // who waits for a held call must not go on and on
  [[nodiscard]] const kube::client_counters& counters() const override { return counters_; }
  [[nodiscard]] const std::optional<failure>& credential_problem() const override { return problem_; }

  static kube::api_answer answer(int status, std::string body) {
    kube::api_answer a;
    a.status = status;
    a.content_type = "application/json";
    a.body = std::move(body);
    return a;
  }
  /// A `Status` as servers send them.
  static kube::api_answer refusal(int status, const std::string& reason, const std::string& name = "a") {
    return answer(status, R"({"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":")" + reason + R"(","details":{"name":")" + name +
                            R"("},"code":)" + std::to_string(status) + "}");
  }
  [[nodiscard]] std::vector<std::string> take_asked() {
    requests.clear();
    return std::exchange(asked, {});
  }

  /// Calls that nobody has answered.
  [[nodiscard]] std::size_t held() const { return waiting_.size(); }

  server answers;
  std::function<std::unique_ptr<kube::api_watch>(const kube::api_request&)> watches; ///< none: nothing is watched
  bool hold = false;
  unsigned wakes = 0;
  std::vector<std::string> asked; ///< `PATCH /apis/...`
  std::vector<kube::api_request> requests;

private:
  struct waiting {
    call_id id;
    kube::api_request request;
    callback done;
    bool cancelled = false;
  };
  std::deque<waiting> waiting_;
  call_id last_ = 0;
  kube::client_counters counters_;
  std::optional<failure> problem_;
};

} // namespace veranda::test
