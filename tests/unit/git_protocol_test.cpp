// links: veranda_adapter_git veranda_model
#define BOOST_TEST_MODULE git_protocol
#include "adapters/git/error_map.hpp"
#include "adapters/git/fetch_protocol.hpp"
#include "adapters/git/git_url.hpp"
#include "adapters/git/packed_refs.hpp"
#include "adapters/git/ref_listing.hpp"

#include <boost/test/unit_test.hpp>

using namespace veranda;
using namespace veranda::git;
using namespace std::string_literals;

namespace {

const std::string a(40, 'a');
const std::string b(40, 'b');

/// Each word as a packet; "" is a flush, "|" a delimiter.
std::string packets(std::initializer_list<std::string> words) {
  std::string out;
  for (const auto& w : words) {
    if (w.empty()) append_flush(out);
    else if (w == "|") append_delimiter(out);
    else append_packet(out, w);
  }
  return out;
}

/// Feeds `bytes` in pieces of `size`.
template <class Reader>
result<void> feed(Reader& reader, std::string_view bytes, std::size_t size) {
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size())))
    if (auto fed = reader.feed(bytes.substr(0, size)); !fed) return fed;
  return {};
}

const std::size_t piece_sizes[] = {1, 2, 3, 5, 7, 64, 100'000};

} // namespace

BOOST_AUTO_TEST_CASE(a_walker_sees_the_flush_however_the_bytes_are_cut) {
  std::string bytes;
  append_packet(bytes, "0000 is no flush within a packet");
  append_delimiter(bytes);
  append_packet(bytes, "");
  append_packet(bytes, std::string(70, 'x'));
  const auto before = bytes.size();
  append_flush(bytes);
  append_packet(bytes, "after");
  for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
    packet_walker walker;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const auto passed = walker.walk(std::string_view{bytes}.substr(at, piece));
      BOOST_REQUIRE(passed);
      BOOST_REQUIRE(*passed == (std::min(at + piece, bytes.size()) >= before + 4));
    }
  }
  for (const auto* impossible : {"0003", "fff1", "xxxx"}) {
    packet_walker walker;
    BOOST_TEST(!walker.walk(impossible));
  }
}

BOOST_AUTO_TEST_CASE(packet_lengths) {
  struct row {
    const char* digits;
    int length;
  };
  const row rows[] = {{"0000", 0}, {"0001", 1}, {"0002", 2}, {"0003", -1}, {"0004", 4}, {"000a", 10}, {"00FF", 255}, {"fff0", 65'520}, {"fff1", -1}, {"ffff", -1}, {"00g0", -1}, {" 004", -1}, {"004", -1}, {"-001", -1}};
  for (const auto& r : rows) BOOST_TEST(packet_length(r.digits) == r.length, r.digits);
}

BOOST_AUTO_TEST_CASE(packets_are_found_however_the_bytes_are_cut) {
  const auto bytes = packets({"one\n", "", std::string(65'516, 'x'), "|"}) + "0002" + "0004";
  for (const auto size : piece_sizes) {
    packet_reader reader;
    std::string seen;
    for (std::string_view rest = bytes; !rest.empty(); rest.remove_prefix(std::min(size, rest.size())))
      BOOST_REQUIRE(reader.feed(rest.substr(0, size), [&](packet_kind kind, std::string_view payload) -> result<void> {
        seen += std::to_string(static_cast<int>(kind)) + ":" + std::to_string(payload.size()) + " ";
        return {};
      }));
    BOOST_TEST(seen == "0:4 1:0 0:65516 2:0 3:0 0:0 ");
    BOOST_TEST(reader.at_boundary());
  }
}

BOOST_AUTO_TEST_CASE(ref_names) {
  const char* good[] = {"HEAD", "refs/heads/main", "refs/tags/a/b/v1", "refs/heads/a-b_c.d+e=f", "refs/heads/\xc3\xa4", "refs/heads/@", "refs/heads/a@b"};
  const char* bad[] = {"", "main", "refs/", "refs/heads/", "refs//a", "refs/heads/.a", "refs/heads/a..b", "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/a b", "refs/heads/a\n",
                       "refs/heads/a~1", "refs/heads/a^{}", "refs/heads/a:b", "refs/heads/a?", "refs/heads/*", "refs/heads/[a", "refs/heads/a\\b", "refs/heads/a@{1}", "refs/heads/a.", "refs/heads/a\x7f", "refs/../x"};
  for (const auto* name : good) BOOST_TEST(valid_ref_name(name), name);
  for (const auto* name : bad) BOOST_TEST(!valid_ref_name(name), name);
  BOOST_TEST(!valid_ref_name("refs/heads/" + std::string(2'000, 'a')));
  BOOST_TEST(!valid_ref_name("refs/heads/a\0b"s));
}

BOOST_AUTO_TEST_CASE(ls_refs_requests) {
  BOOST_TEST(ls_refs_request({"refs/heads/main", "refs/tags/"}, "git/2.39 (x)") ==
             packets({"command=ls-refs\n", "agent=git/2.39-(x)", "object-format=sha1", "|", "peel\n", "symrefs\n", "ref-prefix HEAD\n", "ref-prefix refs/heads/main\n", "ref-prefix refs/tags/\n", ""}));
}

BOOST_AUTO_TEST_CASE(ls_refs_answers) {
  const auto bytes = packets({a + " HEAD symref-target:refs/heads/main\n", a + " refs/heads/main\n", b + " refs/tags/x/v1 peeled:" + a + "\n", a + " refs/heads/with space bad\n", a + " refs/heads/a\n", a + " refs/heads/a\n", ""});
  for (const auto size : piece_sizes) {
    const ref_prefixes all;
    ls_refs_reader reader{all, 10};
    BOOST_REQUIRE(feed(reader, bytes, size));
    const auto table = reader.finish();
    BOOST_REQUIRE(table);
    const auto& t = **table;
    BOOST_TEST(t.head_target == "refs/heads/main");
    BOOST_REQUIRE(t.refs.size() == 4U); // "with" up to the space is a name like any other
    BOOST_TEST(t.refs[0].name == "refs/heads/a");
    BOOST_TEST(t.refs[3].peeled.hex() == a);
  }
}

BOOST_AUTO_TEST_CASE(ls_refs_answers_that_are_wrong) {
  struct row {
    std::string bytes;
    ec expected;
  };
  const row rows[] = {{"", ec::unavailable},
                      {packets({a + " refs/heads/x\n"}), ec::unavailable},
                      {"0000000", ec::unavailable},
                      {packets({"", a + " refs/heads/x\n"}), ec::unsupported},
                      {packets({"nonsense\n", ""}), ec::unsupported},
                      {packets({a + "\n", ""}), ec::unsupported},
                      {packets({a + " refs/heads/x\n", "|"}), ec::unsupported},
                      {"<!DOCTYPE html>", ec::unsupported},
                      {packets({"ERR Repository not found.\n"}), ec::not_found},
                      {packets({a + " refs/heads/1\n", a + " refs/heads/2\n", a + " refs/heads/3\n", ""}), ec::too_large}};
  for (const auto& r : rows)
    for (const auto size : piece_sizes) {
      const ref_prefixes all;
      ls_refs_reader reader{all, 2};
      const auto fed = feed(reader, r.bytes, size);
      const auto code = fed ? reader.finish().error().code : fed.error().code;
      BOOST_TEST((code == r.expected), r.bytes);
    }
}

BOOST_AUTO_TEST_CASE(advertisements) {
  struct row {
    std::string what;
    std::string bytes;
    protocol_version protocol;
    std::size_t refs;
  };
  const auto caps = "\0side-band-64k symref=HEAD:refs/heads/main object-format=sha1 agent=git/2\n"s;
  const row rows[] = {
    {"v2", packets({"# service=git-upload-pack\n", "", "version 2\n", "ls-refs=unborn\n", ""}), protocol_version::v2, 0},
    {"v2 without announcement", packets({"version 2\n", "ls-refs\n", ""}), protocol_version::v2, 0},
    {"v0", packets({"# service=git-upload-pack\n", "", a + " HEAD" + caps, a + " refs/heads/main\n", b + " refs/tags/x/v1\n", a + " refs/tags/x/v1^{}\n", ""}), protocol_version::v0, 2},
    {"v1", packets({"version 1\n", a + " HEAD" + caps, a + " refs/heads/main\n", ""}), protocol_version::v0, 1},
    {"v0 empty", packets({"# service=git-upload-pack\n", "", std::string(40, '0') + " capabilities^{}" + caps, ""}), protocol_version::v0, 0},
    {"v0 nothing", packets({""}), protocol_version::v0, 0},
  };
  for (const auto& r : rows)
    for (const auto size : piece_sizes) {
      const ref_prefixes all;
      advertisement_reader reader{all, 10};
      BOOST_REQUIRE_MESSAGE(feed(reader, r.bytes, size), r.what);
      const auto found = reader.finish();
      BOOST_REQUIRE_MESSAGE(found, r.what);
      BOOST_TEST((found->protocol == r.protocol), r.what);
      BOOST_TEST((found->refs ? found->refs->refs.size() : 0U) == r.refs, r.what);
      if (r.what == "v0") {
        BOOST_TEST(found->has("side-band-64k"));
        BOOST_TEST(!found->has("side-band"));
        BOOST_TEST(found->refs->head_target == "refs/heads/main");
        BOOST_TEST(found->refs->refs[1].peeled.hex() == a);
      }
    }
}

BOOST_AUTO_TEST_CASE(advertisements_that_are_refused) {
  struct row {
    std::string bytes;
    ec expected;
  };
  const row rows[] = {{packets({"version 2\n", "object-format=sha256\n", ""}), ec::unsupported},
                      {packets({"# service=git-receive-pack\n", ""}), ec::unsupported},
                      {packets({"shallow " + a + "\n", ""}), ec::unsupported},
                      {packets({a + " HEAD" + "\0x\n"s, "shallow " + a + "\n", ""}), ec::unsupported},
                      {packets({"version 2\n"}), ec::unavailable},
                      {packets({std::string(64, 'a') + " refs/heads/main\n", ""}), ec::unsupported},
                      {packets({"ERR access denied"}), ec::auth_rejected}};
  for (const auto& r : rows) {
    const ref_prefixes all;
    advertisement_reader reader{all, 10};
    const auto fed = reader.feed(r.bytes);
    BOOST_TEST(((fed ? reader.finish().error().code : fed.error().code) == r.expected), r.bytes);
  }
}

BOOST_AUTO_TEST_CASE(fetch_requests) {
  const auto x = *oid::parse(a), y = *oid::parse(b);
  BOOST_TEST(fetch_request(protocol_version::v2, {x}, {y}, "git/2") ==
             packets({"command=fetch", "agent=git/2", "object-format=sha1", "|", "thin-pack", "ofs-delta", "no-progress", "want " + a + "\n", "have " + b + "\n", "done\n", ""}));
  BOOST_TEST(fetch_request(protocol_version::v0, {x, y}, {y}, "git/2") ==
             packets({"want " + a + " side-band-64k thin-pack ofs-delta no-progress agent=git/2\n", "want " + b + "\n", "", "have " + b + "\n", "done\n"}));
}

BOOST_AUTO_TEST_CASE(messages_without_end_are_refused) {
  for (const std::string& filler : {packets({"\2" + std::string(60'000, 'm')}), packets({"\1"}), packets({"\2"})})
    for (const std::string& start : {packets({"packfile\n"}), packets({"packfile\n", "\1PACK"})}) {
      fetch_reader reader{protocol_version::v2, [](std::string_view) { return result<void>{}; }};
      BOOST_REQUIRE(reader.feed(start));
      std::string piece;
      while (piece.size() < 1U << 20U) piece += filler;
      result<void> fed;
      std::uint64_t taken = 0;
      while (fed && taken < 4 * max_chatter_bytes) {
        fed = reader.feed(piece);
        taken += piece.size();
      }
      BOOST_REQUIRE(!fed);
      BOOST_TEST((fed.error().code == ec::too_large));
      BOOST_TEST(fed.error().what.find("more than 16777216 bytes of messages") != std::string::npos);
      BOOST_TEST(taken <= max_chatter_bytes + 2 * piece.size());
    }
  fetch_reader reader{protocol_version::v2, [](std::string_view) { return result<void>{}; }};
  const auto piece = packets({"\1" + std::string(60'000, 'p')});
  BOOST_REQUIRE(reader.feed(packets({"packfile\n"})));
  for (std::uint64_t taken = 0; taken < 2 * max_chatter_bytes; taken += piece.size()) BOOST_REQUIRE(reader.feed(piece)); // a pack is none
  fetch_reader acknowledged{protocol_version::v0, [](std::string_view) { return result<void>{}; }};
  std::string many;
  while (many.size() < 2 * max_chatter_bytes) many += packets({"NAK\n"});
  BOOST_TEST((acknowledged.feed(many).error().code == ec::too_large));
}

BOOST_AUTO_TEST_CASE(fetch_answers) {
  struct row {
    protocol_version protocol;
    std::string bytes;
    std::optional<ec> expected;
  };
  constexpr auto v2 = protocol_version::v2, v0 = protocol_version::v0;
  const row rows[] = {{v2, packets({"packfile\n", "\1PA", "\2progress", "\1", "\1CK", ""}), {}},
                      {v2, packets({"acknowledgments\n", "ACK " + a + "\n", "ready\n", "|", "packfile\n", "\1PACK", ""}), {}},
                      {v0, packets({"NAK\n", "\1PA", "\1CK", ""}), {}},
                      {v0, packets({"ACK " + a + " common\n", "ACK " + a + "\n", "\1PACK", ""}), {}},
                      {v2, packets({"shallow-info\n", "shallow " + a + "\n", "|", "packfile\n", ""}), ec::unsupported},
                      {v0, packets({"shallow " + a + "\n", "", "NAK\n"}), ec::unsupported},
                      {v2, packets({"packfile\n", "\1PACK"}), ec::unavailable},
                      {v2, packets({"packfile\n", "\1PACK", ""}) + "00", ec::unavailable},
                      {v2, packets({"packfile\n", "\3fatal: boom\n"}), ec::unavailable},
                      {v2, packets({"packfile\n", "\4x"}), ec::unsupported},
                      {v2, packets({"packfile-uris\n"}), ec::unsupported},
                      {v2, packets({"ERR upload-pack: not our ref " + a}), ec::conflict},
                      {v2, packets({"acknowledgments\n", "NAK\n", ""}), ec::unsupported},
                      {v0, packets({"NAK\n", ""}), ec::unsupported},
                      {v2, "", ec::unavailable}};
  for (const auto& r : rows)
    for (const auto size : piece_sizes) {
      std::string pack;
      fetch_reader reader{r.protocol, [&](std::string_view bytes) -> result<void> {
                            pack += bytes;
                            return {};
                          }};
      const auto fed = feed(reader, r.bytes, size);
      const auto done = fed ? reader.finish() : fed;
      BOOST_TEST(done.ok() == !r.expected, r.bytes);
      if (r.expected) BOOST_TEST((done.error().code == *r.expected), r.bytes << " " << done.error().what);
      else BOOST_TEST(pack == "PACK");
    }
}

BOOST_AUTO_TEST_CASE(urls) {
  struct row {
    const char* given;
    const char* canonical; ///< empty: refused
  };
  const row rows[] = {{"HTTPS://Example.COM:443/Org/Repo.git/", "https://example.com/Org/Repo.git"},
                      {"http://example.com:80", "http://example.com"},
                      {"http://example.com:8080/x//", "http://example.com:8080/x"},
                      {"https://[2001:DB8::1]:8443/x", "https://[2001:db8::1]:8443/x"},
                      {"ssh://git@Example.com:22/x", "ssh://git@example.com/x"},
                      {"git@example.com:org/x.git", "ssh://git@example.com/~/org/x.git"},
                      {"/srv//git/x.git/", "/srv/git/x.git"},
                      {"file:///srv/a%20b", "/srv/a b"},
                      {"file://localhost/srv/x", "/srv/x"},
                      {"https://user:pw@example.com/x", ""},
                      {"https://token@example.com/x", ""},
                      {"ssh://git:pw@example.com/x", ""},
                      {"ssh://-oProxyCommand=x/y", ""},
                      {"ssh://-oProxyCommand@example.com/y", ""},
                      {"https://example.com/x?y=1", ""},
                      {"https://example.com/x#y", ""},
                      {"https://example.com/a/../b", ""},
                      {"ssh://example.com/a/%2e%2e/b", ""},
                      {"https://example.com/a b", ""},
                      {"https://example.com/a\nb", ""},
                      {"https://ex%61mple.com/", ""},
                      {"https://example.com:0/x", ""},
                      {"https://example.com:65536/x", ""},
                      {"https://example.com:8x/x", ""},
                      {"https:///x", ""},
                      {"git://example.com:9418/x", "git://example.com/x"},
                      {"ext::sh -c x", ""},
                      {"file://host/x", ""},
                      {"file:///a%zz", ""},
                      {"file:///a%00b", ""},
                      {"file:///a%2", ""},
                      {"relative/x", ""},
                      {"/a/../b", ""},
                      {"/", ""},
                      {"", ""}};
  for (const auto& r : rows) {
    const auto c = canonical_url(r.given, true);
    BOOST_TEST((c ? *c : std::string{}) == r.canonical, r.given);
    if (!c) BOOST_TEST((c.error().code == ec::invalid_spec));
    if (c) BOOST_TEST(*canonical_url(*c, true) == *c);
    if (!c) BOOST_TEST(c.error().what.find("pw") == std::string::npos);
  }
  BOOST_TEST(!canonical_url("/srv/x", false));
  BOOST_TEST(is_local("/srv/x"));
  BOOST_TEST(is_local("FILE:///srv/x"));
  BOOST_TEST(!is_local("https://example.com/x"));
  BOOST_TEST(!is_local("git@example.com:x"));
}

BOOST_AUTO_TEST_CASE(packed_refs_round_trip) {
  ref_table table;
  table.refs = {{"refs/heads/a", *oid::parse(a), {}}, {"refs/tags/a/v1", *oid::parse(b), *oid::parse(a)}};
  const auto text = render_packed_refs(table);
  BOOST_TEST((*parse_packed_refs(text) == table));
  for (const auto* bad : {"x\n", "^aaaa\n", "zzzz refs/heads/a\n"}) BOOST_TEST((parse_packed_refs(bad).error().code == ec::corrupt_cache), bad);
  BOOST_TEST(!parse_packed_refs(text.substr(0, text.size() - 1)));
  BOOST_TEST(!parse_packed_refs(a + " refs/heads/b\n" + a + " refs/heads/a\n"));
}

BOOST_AUTO_TEST_CASE(classes_of_answers) {
  const remote_label host{"example.com", true};
  struct row {
    long status;
    ec expected;
  };
  const row statuses[] = {{401, ec::auth_rejected}, {403, ec::throttled}, {404, ec::not_found}, {407, ec::auth_rejected}, {408, ec::timed_out}, {410, ec::not_found},
                          {413, ec::too_large}, {418, ec::unavailable}, {429, ec::throttled}, {500, ec::unavailable}, {502, ec::unavailable}, {503, ec::unavailable}, {504, ec::unavailable}, {304, ec::unsupported}};
  for (const auto& r : statuses) {
    const auto f = from_http_status(r.status, host, std::chrono::seconds{3});
    BOOST_TEST((f.code == r.expected), r.status);
    BOOST_TEST(f.what.starts_with("example.com: "));
    BOOST_TEST(f.retry_after.has_value() == (f.code == ec::throttled || f.code == ec::unavailable));
  }
  BOOST_TEST((from_http_status(403, host, {}).code == ec::auth_rejected)); // without a time it is a refusal, and no limit
  struct curl_row {
    int code;
    ec expected;
  };
  const curl_row codes[] = {{5, ec::unreachable}, {6, ec::unreachable}, {7, ec::unreachable}, {28, ec::timed_out}, {35, ec::unreachable}, {42, ec::cancelled}, {52, ec::unavailable}, {56, ec::unreachable}, {60, ec::unreachable}, {77, ec::auth_rejected}, {97, ec::unreachable}, {9'999, ec::unavailable}};
  for (const auto& r : codes) BOOST_TEST((from_curl(r.code, host).code == r.expected), r.code);
  struct text_row {
    const char* text;
    ec expected;
  };
  const text_row texts[] = {{"Repository not found.", ec::not_found}, {"access denied or repository not exported: /x", ec::auth_rejected}, {"upload-pack: not our ref aaaa", ec::conflict}, {"something else", ec::unavailable}};
  for (const auto& r : texts) {
    BOOST_TEST((remote_error(r.text).code == r.expected), r.text);
    BOOST_TEST(remote_error(r.text).what.find(r.text) == std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(what_is_refused_names_the_way_out) {
  const auto says = [](const failure& f, const char* part) { BOOST_TEST(f.what.find(part) != std::string::npos, f.what); };
  says(canonical_url("/srv/x", false).error(), "--allow-local");
  says(canonical_url("hello world", false).error(), "`hello world` is neither a URL, such as https://");
  BOOST_TEST(canonical_url("ann:hunter2@", true).error().what.find("hunter2") == std::string::npos);
  BOOST_TEST(canonical_url("a/ann@hunter2", true).error().what.find("hunter2") == std::string::npos); // whatever may be a password
  const remote_label alone{"h", false}, known{"h", true};
  BOOST_TEST(from_http_status(401, alone, {}).field == "");
  BOOST_TEST(from_http_status(401, known, {}).field == "spec.git.secretRef");
  BOOST_TEST(from_http_status(403, alone, {}).field == "");
}
