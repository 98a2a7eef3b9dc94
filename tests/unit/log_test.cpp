// links: veranda_common
#define BOOST_TEST_MODULE log
#include "actors/common/log.hpp"

#include <boost/test/unit_test.hpp>
#include <thread>
#include <vector>

using namespace veranda;

BOOST_AUTO_TEST_CASE(scrubbed_text_holds_no_secret_of_a_url) {
  const std::pair<const char*, const char*> table[] = {
      {"nothing to hide: a@b, c?d#e", "nothing to hide: a@b, c?d#e"},
      {"https://host/x.git", "https://host/x.git"},
      {"at https://host/x: no answer? yes", "at https://host/x: no answer? yes"},
      {"https://user:S3CRET@host/x", "https://***@host/x"},
      {"https://user:S3/CR/ET@host/x", "https://***@host/x"},
      {"https://user:S@3CRET@host/x", "https://***@host/x"},
      {"https://user:S?3#CRET@host/x", "https://***"},
      {"\"https://host/x.git?access_token=S3CRET\": must not hold a query", "\"https://host/x.git\": must not hold a query"},
      {"https://host/x?mail=a@b&token=S3CRET", "https://***"},
      {"https://host/x#S3CRET next", "https://host/x next"},
      {"https://u:S3CRET@a/x?t=S3CRET and ssh://S3CRET@b/y'", "https://***@a/x and ssh://***@b/y'"},
      {"://", "://"},
      {"a\nb\tc\x7f\x01", "a\\nb\\tc??"},
      {"https://host/\x01", "https://host/?"}};
  for (const auto& [text, shown] : table)
    BOOST_TEST(log::scrub(text) == shown);
}

BOOST_AUTO_TEST_CASE(lines_written_while_it_stops_are_dropped) {
  log::start(true, log::level::error);
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i)
    writers.emplace_back([] {
      for (int n = 0; n < 20'000; ++n)
        if (n % 1'000 == 0)
          log::error("test", "still at work");
    });
  log::stop();
  for (auto& w : writers)
    w.join();
  BOOST_TEST(!log::enabled(log::level::error));
}
