#include "adapters/kube/object_reader.hpp"

#include "adapters/kube/object_decoder.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>

namespace veranda::kube {

namespace {

constexpr std::uint32_t page = 500;
constexpr std::size_t max_objects = 1'000'000;
constexpr std::size_t max_pages = 10'000;

std::int64_t number_of(const std::string& text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() ? out : 0;
}

class object_reader final : public store::object_store_reader {
public:
  object_reader(std::unique_ptr<api_client> client, object_reader_options options)
    : client_(std::move(client)), options_(std::move(options)), decoder_(options_.type.kind, options_.type.api_version()) {}

  result<store::object_list> list(const std::string& resource, const std::string& ns) override {
    if (auto known = check(resource); !known) return known.error();
    store::object_list out;
    auto scopes = ns.empty() ? options_.namespaces : std::vector<std::string>{ns};
    if (scopes.empty()) scopes.emplace_back();
    for (const auto& scope : scopes)
      if (auto read = list_scope(scope, out); !read) return read.error();
    std::ranges::sort(out.items, {}, [](const store::stored_object& o) { return o.key; });
    return out;
  }

  result<std::optional<store::stored_object>> get(const std::string& resource, const object_key& key) override {
    if (auto known = check(resource); !known) return known.error();
    auto body = ask(get_request(options_.type, key));
    if (!body) {
      if (body.error().code == ec::not_found) return std::optional<store::stored_object>{};
      return body.error();
    }
    auto object = decoder_.object(*std::move(body));
    if (!object) return object.error();
    return std::optional{stored(*std::move(object))};
  }

  result<std::vector<store::object_event>> events_after(const std::string&, std::int64_t, std::size_t) override { return no_events(); }
  result<std::int64_t> wait_beyond(std::int64_t, std::chrono::milliseconds) override { return no_events(); }
  void interrupt() override {
    interrupted_ = true;
    client_->wake();
  }

private:
  [[nodiscard]] failure no_events() const { return {ec::unsupported, "the positions of an API server cannot be followed here", options_.type.name(), {}, {}}; }

  [[nodiscard]] result<void> check(const std::string& resource) const {
    if (resource == options_.type.name()) return {};
    return failure{ec::unsupported, "this kind of object is not read from the API server", resource, {}, {}};
  }

  store::stored_object stored(api_object object) const {
    return {options_.type.name(), std::move(object.key), std::move(object.uid), number_of(object.resource_version), object.generation, std::move(object.json)};
  }

  result<void> list_scope(const std::string& ns, store::object_list& out) {
    list_position position{{}, {}, page};
    for (std::size_t pages = 0; pages < max_pages && out.items.size() <= max_objects; ++pages) {
      auto body = ask(list_request(options_.type, {ns, options_.label_selector, {}}, position));
      auto got = body ? decoder_.list(*std::move(body)) : result<api_list_page>{std::move(body).error()};
      if (!got) return got.error();
      out.resource_version = std::max(out.resource_version, number_of(got->resource_version));
      for (auto& object : got->items) out.items.push_back(stored(std::move(object)));
      if (got->continue_token.empty()) return {};
      position.continue_token = std::move(got->continue_token);
    }
    return failure{ec::too_large, "the API server lists them without end", options_.type.name(), {}, {}};
  }

  result<std::string> ask(api_request request) {
    auto answer = std::make_shared<std::optional<result<api_answer>>>();
    request.timeout = options_.deadline;
    const auto id = client_->start(request, [answer](result<api_answer> got) { *answer = std::move(got); });
    while (!*answer) {
      if (interrupted_) client_->cancel(id);
      client_->run_for(std::chrono::milliseconds{250});
    }
    if (!**answer) return (*answer)->error();
    return body_of(*std::move(**answer), request);
  }

  std::unique_ptr<api_client> client_;
  const object_reader_options options_;
  object_decoder decoder_;
  std::atomic<bool> interrupted_{false};
};

} // namespace

std::unique_ptr<store::object_store_reader> open_object_reader(std::unique_ptr<api_client> client, object_reader_options options) {
  return std::make_unique<object_reader>(std::move(client), std::move(options));
}

} // namespace veranda::kube
