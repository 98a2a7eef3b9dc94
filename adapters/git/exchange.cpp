#include "adapters/git/exchange.hpp"

namespace veranda::git {

result<void> exchange::hear(std::string_view bytes) {
  heard_ += bytes.size();
  switch (part_) {
    case part::hello: return on_hello(bytes);
    case part::answer: return on_answer(bytes);
    case part::over: break;
  }
  return {}; // a last word
}

result<void> exchange::on_hello(std::string_view bytes) {
  if (heard_ > limits_.max_listing_bytes) return list_too_large(limits_.max_listing_bytes);
  if (auto fed = hello_.feed(bytes); !fed) return fed;
  if (!hello_.complete()) return {};
  auto found = hello_.finish();
  if (!found) return std::move(found).error();
  protocol_ = found->protocol;
  auto request = ask_(*std::move(found));
  if (!request) return std::move(request).error();
  if (request->empty()) {
    append_flush(words_.text);
    end();
    return {};
  }
  words_.text += *request;
  part_ = part::answer;
  return {};
}

/// The answer to a request, whatever it is, ends with a flush.
result<void> exchange::on_answer(std::string_view bytes) {
  if (auto taken = answer_(bytes); !taken) return taken;
  const auto ended = packets_.walk(bytes);
  if (!ended) return ended.error();
  if (!*ended) return {};
  if (protocol_ == protocol_version::v2) append_flush(words_.text); // no other request follows
  end();
  return {};
}

void exchange::end() {
  words_.ended = true;
  part_ = part::over;
}

} // namespace veranda::git
