// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE address_rules
#include <boost/test/unit_test.hpp>

#include "adapters/git/address_rules.hpp"
#include "adapters/git/operator_proxy.hpp"

#include <map>
#include <vector>

using namespace veranda;
using namespace veranda::git;
using strings = std::vector<std::string>;

namespace {

std::vector<ip_range> ranges(const strings& texts) {
  std::vector<ip_range> out;
  for (const auto& t : texts) out.push_back(parse_ip_range(t).value());
  return out;
}

/// Empty when it is allowed.
std::string judged(const std::string& address, const strings& allowed = {}, const strings& denied = {}, bool guarded = true) {
  return address_rules{ranges(allowed), ranges(denied), guarded}.refusal(parse_ip(address).value()).value_or("");
}

} // namespace

BOOST_AUTO_TEST_CASE(what_is_refused_in_a_cluster) {
  for (const auto& [address, meaning] : std::map<std::string, std::string>{
         {"127.0.0.1", "loopback"}, {"127.255.255.255", "loopback"}, {"::1", "loopback"}, {"::ffff:127.0.0.1", "loopback"},
         {"::ffff:7f00:1", "loopback"}, {"64:ff9b::7f00:1", "loopback"}, {"64:ff9b::127.0.0.1", "loopback"}, {"2002:7f00:1::", "loopback"}, {"::127.0.0.1", "loopback"},
         {"0.0.0.0", "unspecified"}, {"0.1.2.3", "unspecified"}, {"::", "unspecified"}, {"::ffff:0.0.0.0", "unspecified"},
         {"169.254.0.1", "link-local"}, {"fe80::1", "link-local"}, {"febf:ffff::1", "link-local"}, {"64:ff9b::a9fe:1", "link-local"},
         {"224.0.0.1", "multicast"}, {"239.255.255.255", "multicast"}, {"ff02::1", "multicast"}, {"255.255.255.255", "broadcast"},
         {"169.254.169.254", "cloud metadata"}, {"169.254.170.2", "cloud metadata"}, {"169.254.170.23", "cloud metadata"}, {"169.254.0.23", "cloud metadata"},
         {"::ffff:169.254.169.254", "cloud metadata"}, {"64:ff9b::a9fe:a9fe", "cloud metadata"}, {"2002:a9fe:a9fe::1", "cloud metadata"}, {"fe80::a9fe:a9fe", "cloud metadata"},
         {"fd00:ec2::254", "cloud metadata"}, {"fd20:ce::254", "cloud metadata"}, {"100.100.100.200", "cloud metadata"}, {"168.63.129.16", "cloud metadata"}, {"192.0.0.192", "cloud metadata"}}) {
    BOOST_TEST(judged(address).starts_with("is refused (" + meaning + "); --allow-cidr "), address << ": " << judged(address));
    BOOST_TEST(judged(address, {}, {}, false) == "", address << " with nothing refused by default");
  }
  for (const std::string address : {"10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "203.0.113.1", "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.0", "1.0.0.0", "223.255.255.255",
                                    "::ffff:10.0.0.1", "fd00::1", "fec0::1", "fe7f::1", "2001:db8::1", "64:ff9b::a00:1", "2002:a00:1::1", "fd20:ce::253"})
    BOOST_TEST(judged(address) == "", address);
}

BOOST_AUTO_TEST_CASE(the_longest_range_decides) {
  struct row {
    std::string address;
    strings allowed, denied;
    std::string says;
  };
  for (const auto& [address, allowed, denied, says] : std::vector<row>{
         // what is refused by default is allowed by a range that is as long
         {"127.0.0.1", {"127.0.0.0/8"}, {}, ""},
         {"127.0.0.1", {"127.0.0.1/32"}, {}, ""},
         {"127.0.0.2", {"127.0.0.1/32"}, {}, "is refused (loopback); --allow-cidr 127.0.0.2/32 would allow it"},
         {"::ffff:127.0.0.1", {"127.0.0.0/8"}, {}, ""},
         {"64:ff9b::7f00:1", {"127.0.0.0/8"}, {}, ""},
         {"::1", {"127.0.0.0/8"}, {}, "is refused (loopback); --allow-cidr ::1/128 would allow it"},
         {"::1", {"::1/128"}, {}, ""},
         // but not by everything
         {"127.0.0.1", {"0.0.0.0/0"}, {}, "is refused (loopback); --allow-cidr 127.0.0.1/32 would allow it"},
         {"fe80::1", {"::/0"}, {}, "is refused (link-local); --allow-cidr fe80::1/128 would allow it"},
         // nor metadata by the range around it
         {"169.254.1.1", {"169.254.0.0/16"}, {}, ""},
         {"169.254.169.254", {"169.254.0.0/16"}, {}, "is refused (cloud metadata); --allow-cidr 169.254.169.254/32 would allow it"},
         {"169.254.169.254", {"169.254.169.254/32"}, {}, ""},
         // a list of what is allowed, and nothing else
         {"10.1.2.3", {"10.1.0.0/16"}, {"0.0.0.0/0"}, ""},
         {"10.2.2.3", {"10.1.0.0/16"}, {"0.0.0.0/0"}, "is refused by --deny-cidr 0.0.0.0/0; --allow-cidr 10.2.2.3/32 would allow it"},
         {"2001:db8::1", {"10.1.0.0/16"}, {"0.0.0.0/0"}, ""},
         {"2001:db8::1", {}, {"0.0.0.0/0", "::/0"}, "is refused by --deny-cidr ::/0; --allow-cidr 2001:db8::1/128 would allow it"},
         // of equal ones the denied
         {"10.1.2.3", {"10.0.0.0/8"}, {"10.0.0.0/8"}, "is refused by --deny-cidr 10.0.0.0/8; --allow-cidr 10.1.2.3/32 would allow it"},
         {"10.1.2.3", {"10.1.2.3/32"}, {"10.1.2.3/32"}, "is refused by --deny-cidr 10.1.2.3/32"},
         {"127.0.0.1", {"127.0.0.0/8"}, {"127.0.0.1/32"}, "is refused by --deny-cidr 127.0.0.1/32"},
         // the order in which they were given means nothing
         {"10.1.2.3", {"10.0.0.0/8", "10.1.2.0/24"}, {"10.1.0.0/16"}, ""},
         {"10.1.2.3", {"10.1.2.0/24", "10.0.0.0/8"}, {"10.1.0.0/16", "10.1.2.3/32"}, "is refused by --deny-cidr 10.1.2.3/32"},
         // what carries an IPv4 address is judged as that, too
         {"64:ff9b::a01:203", {}, {"10.0.0.0/8"}, "is refused by --deny-cidr 10.0.0.0/8; --allow-cidr 64:ff9b::a01:203/128 would allow it"},
         {"2002:a01:203::9", {}, {"10.0.0.0/8"}, "is refused by --deny-cidr 10.0.0.0/8; --allow-cidr 2002:a01:203::9/128 would allow it"},
         {"::ffff:10.1.2.3", {}, {"10.0.0.0/8"}, "is refused by --deny-cidr 10.0.0.0/8; --allow-cidr 10.1.2.3/32 would allow it"},
       }) {
    BOOST_TEST(judged(address, allowed, denied) == says, address << ": " << judged(address, allowed, denied));
  }
  BOOST_TEST(judged("127.0.0.1", {}, {"127.0.0.0/8"}, false) == "is refused by --deny-cidr 127.0.0.0/8; --allow-cidr 127.0.0.1/32 would allow it", "without a cluster, too");
}

BOOST_AUTO_TEST_CASE(every_hint_helps) {
  for (const std::string address : {"127.0.0.1", "::1", "fe80::1", "64:ff9b::7f00:1", "2002:7f00:1::", "169.254.169.254", "fd00:ec2::254", "255.255.255.255"}) {
    const auto text = judged(address);
    const auto from = text.find("--allow-cidr ") + 13;
    const auto hint = text.substr(from, text.find(' ', from) - from);
    BOOST_TEST(judged(address, {hint}) == "", hint);
  }
}

BOOST_AUTO_TEST_CASE(the_proxy_of_the_operator) {
  struct row {
    std::string scheme, host;
    std::map<std::string, std::string> environment;
    std::string proxy;
  };
  for (const auto& [scheme, host, environment, proxy] : std::vector<row>{
         {"https", "a.example", {}, ""},
         {"https", "a.example", {{"https_proxy", "p:1"}}, "p:1"},
         {"https", "a.example", {{"HTTPS_PROXY", "p:2"}}, "p:2"},
         {"https", "a.example", {{"HTTPS_PROXY", "p:2"}, {"https_proxy", "p:1"}}, "p:1"},
         {"https", "a.example", {{"https_proxy", ""}, {"all_proxy", "p:3"}}, ""},
         {"https", "a.example", {{"http_proxy", "p:1"}}, ""},
         {"https", "a.example", {{"ALL_PROXY", "p:3"}}, "p:3"},
         {"http", "a.example", {{"https_proxy", "p:1"}}, ""},
         {"http", "a.example", {{"http_proxy", "p:1"}, {"all_proxy", "p:3"}}, "p:1"},
         {"http", "a.example", {{"HTTP_PROXY", "p:1"}}, ""},
         {"http", "a.example", {{"all_proxy", "p:3"}}, "p:3"},
         {"https", "a.example", {{"all_proxy", "p"}, {"no_proxy", "*"}}, ""},
         {"https", "a.example", {{"all_proxy", "p"}, {"no_proxy", "b.example, A.Example"}}, ""},
         {"https", "a.example", {{"all_proxy", "p"}, {"NO_PROXY", "example"}}, ""},
         {"https", "a.example", {{"all_proxy", "p"}, {"no_proxy", ".example"}}, ""},
         {"https", "a.example", {{"all_proxy", "p"}, {"no_proxy", "xa.example,ample,.,"}}, "p"},
         {"https", "a.example", {{"all_proxy", "p"}, {"no_proxy", "sub.a.example"}}, "p"},
         {"https", "10.1.2.3", {{"all_proxy", "p"}, {"no_proxy", "10.1.2.3"}}, ""},
         {"https", "10.1.2.3", {{"all_proxy", "p"}, {"no_proxy", "10.0.0.0/8"}}, ""},
         {"https", "10.1.2.3", {{"all_proxy", "p"}, {"no_proxy", "2.3,10.1.2,11.0.0.0/8"}}, "p"},
         {"https", "fd00::1", {{"all_proxy", "p"}, {"no_proxy", "[fd00::1]"}}, ""},
         {"https", "fd00::1", {{"all_proxy", "p"}, {"no_proxy", "fd00::/8"}}, ""},
       }) {
    const auto found = operator_proxy(scheme, host, [&](const char* name) -> const char* {
      const auto at = environment.find(name);
      return at == environment.end() ? nullptr : at->second.c_str();
    });
    BOOST_TEST(found == proxy, scheme << "://" << host << " got " << found);
  }
}
