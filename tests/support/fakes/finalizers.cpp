#include "tests/support/fakes/finalizers.hpp"

namespace veranda::test {

finalizer_keeper_actor::behavior_type fake_finalizers(finalizer_keeper_actor::pointer self, std::shared_ptr<finalizer_script> script) {
  const auto answer = [self, script](std::function<result<bool>()> act) -> caf::result<bool> {
    auto promise = self->make_response_promise<bool>();
    auto perform = [act = std::move(act), kept = kept_promise{promise}]() mutable { kept.deliver(act()); };
    if (script->stalled)
      script->waiting.emplace_back(std::move(perform));
    else
      perform();
    return promise;
  };
  return {
    [script, answer](const msg::hold_object& m) { return answer([script, m] { return script->hold(m.seen); }); },
    [script, answer](const msg::release_object& m) { return answer([script, m] { return script->release(m.key, m.uid); }); },
  };
}

} // namespace veranda::test
