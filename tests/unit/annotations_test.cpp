// links: veranda_logic veranda_adapter_kpt
#define BOOST_TEST_MODULE annotations
#include "adapters/kpt/annotations.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using veranda::logic::commit_annotation;

namespace {

std::vector<commit_annotation> decode(std::string_view message, std::size_t wanted_dropped = 0) {
  kpt::annotation_decoder decoder;
  std::size_t dropped = 0;
  auto out = decoder.decode(message, dropped);
  BOOST_TEST(dropped == wanted_dropped);
  return out;
}

} // namespace

BOOST_AUTO_TEST_CASE(lines_as_porch_writes_them) {
  const auto found = decode("Approve\n\nkpt:{\"package\":\"d/p\",\"workspaceName\":\"w\",\"revision\":\"1\",\"task\":{ \"type\" : \"init\", \"init\":{\"description\":\"x y\"}}}\n");
  BOOST_REQUIRE_EQUAL(found.size(), 1U);
  BOOST_TEST((found[0] == commit_annotation{"d/p", "w", "1", "init", R"({"type":"init","init":{"description":"x y"}})"}));
}

BOOST_AUTO_TEST_CASE(several_lines_blanks_and_other_text) {
  const auto found = decode("kpt:{\"package\":\"a\"}\ntext kpt:{\"package\":\"no\"}\r\n \t kpt: {\"package\":\"b\",\"task\":null,\"other\":[1]} \r\nKPT:{}\nkpt:{}");
  BOOST_REQUIRE_EQUAL(found.size(), 3U);
  BOOST_TEST(found[0].package == "a");
  BOOST_TEST(found[1].package == "b");
  BOOST_TEST((found[2] == commit_annotation{}));
}

BOOST_AUTO_TEST_CASE(bad_lines_are_dropped_and_the_others_count) {
  const std::vector<std::string> bad{
      "kpt:{invalid:annotation}", "kpt:", "kpt:[]", "kpt:\"text\"", "kpt:{\"package\":5}", "kpt:{\"workspaceName\":{}}", "kpt:{\"revision\":1}",
      "kpt:{\"task\":\"init\"}", "kpt:{\"task\":{\"type\":5}}", "kpt:{\"package\":\"a\"} more", "kpt:{\"package\":\"\xff\"}",
      "kpt:{\"package\":\"" + std::string(2U << 20U, 'x') + "\"}", "kpt:" + std::string(5000, '[')};
  for (const std::string& line : bad) {
    const auto found = decode("kpt:{\"package\":\"first\"}\n" + line + "\nkpt:{\"package\":\"last\"}\n", 1);
    BOOST_CHECK_MESSAGE(found.size() == 2 && found[0].package == "first" && found[1].package == "last", line.substr(0, 80));
  }
}

BOOST_AUTO_TEST_CASE(a_commit_has_a_bounded_number) {
  std::string message;
  for (int n = 0; n < 50'000; ++n)
    message += "kpt:{}\n";
  BOOST_TEST(decode(message, 50'000 - kpt::max_annotations).size() == kpt::max_annotations);
}
