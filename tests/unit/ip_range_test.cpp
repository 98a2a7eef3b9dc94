// links: veranda_model
#define BOOST_TEST_MODULE ip_range
#include <boost/test/unit_test.hpp>

#include "messages/model/ip_range.hpp"

#include <vector>

using namespace veranda;

BOOST_AUTO_TEST_CASE(addresses) {
  for (const auto& [text, shown] : std::vector<std::pair<std::string, std::string>>{{"10.0.0.1", "10.0.0.1"},
                                                                                   {"::ffff:10.0.0.1", "10.0.0.1"},
                                                                                   {"::ffff:a00:1", "10.0.0.1"},
                                                                                   {"::1", "::1"},
                                                                                   {"::", "::"},
                                                                                   {"FD00:0:0::1", "fd00::1"}}) {
    const auto address = parse_ip(text);
    BOOST_REQUIRE_MESSAGE(address, text);
    BOOST_TEST(to_string(*address) == shown);
  }
  BOOST_TEST((parse_ip("::ffff:10.0.0.1") == parse_ip("10.0.0.1")));
  BOOST_TEST(parse_ip("::ffff:10.0.0.1")->is_v4());
  BOOST_TEST(!parse_ip("::10.0.0.1")->is_v4(), "that is an IPv6 address");
  for (const std::string text : {"", "10.0.0", "127.1", "0x7f.0.0.1", "2130706433", "010.0.0.1", "10.0.0.1 ", " 10.0.0.1", "10.0.0.256", "[::1]", "fe80::1%eth0", "localhost", ":::1"})
    BOOST_TEST(!parse_ip(text), text);
  BOOST_TEST(!parse_ip(std::string{"10.0.0.1\0x", 10}));
  BOOST_TEST(!parse_ip(std::string(1000, '1')));
}

BOOST_AUTO_TEST_CASE(ranges_and_what_they_hold) {
  struct row {
    std::string range, address;
    bool held;
  };
  for (const auto& [text, address, held] : std::vector<row>{{"10.0.0.0/8", "10.255.0.1", true},        {"10.0.0.0/8", "11.0.0.0", false},
                                                            {"10.0.0.0/8", "::ffff:10.1.2.3", true},   {"10.128.0.0/9", "10.127.255.255", false},
                                                            {"10.128.0.0/9", "10.128.0.0", true},      {"0.0.0.0/0", "203.0.113.9", true},
                                                            {"0.0.0.0/0", "2001:db8::1", false},       {"::/0", "2001:db8::1", true},
                                                            {"::/0", "203.0.113.9", false},            {"10.0.0.7/32", "10.0.0.7", true},
                                                            {"10.0.0.7/32", "10.0.0.6", false},        {"fe80::/10", "febf::1", true},
                                                            {"fe80::/10", "fec0::1", false},           {"2001:db8::/127", "2001:db8::1", true},
                                                            {"2001:db8::/127", "2001:db8::2", false}}) {
    const auto range = parse_ip_range(text);
    BOOST_REQUIRE_MESSAGE(range, text);
    BOOST_TEST(range->contains(parse_ip(address).value()) == held, text << " and " << address);
    BOOST_TEST(to_string(*range) == text);
  }
  BOOST_TEST(to_string(only(parse_ip("10.0.0.1").value())) == "10.0.0.1/32");
  BOOST_TEST(to_string(only(parse_ip("fd00::1").value())) == "fd00::1/128");
}

BOOST_AUTO_TEST_CASE(ranges_are_read_strictly) {
  for (const std::string text : {"", "10.0.0.0", "10.0.0.0/", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/8 ", "10.0.0.0/8/8", "10.0.0.1/8",
                                 "10.0.0.0/0x8", "10/8", "fd00::/129", "fd00::1/64", "::ffff:10.0.0.0/104", "::ffff:10.0.0.0/8", "host/8", "10.0.0.0/4294967304"})
    BOOST_TEST(!parse_ip_range(text), text);
}
