#include "config/settings/setting_kinds.hpp"

#include "config/settings/label_selector.hpp"
#include "messages/model/time.hpp"

#include <cctz/time_zone.h>

#include <arpa/inet.h>

#include <limits>

namespace veranda::config {

using std::chrono::milliseconds;

namespace {

/// Bytes, optionally in Ki, Mi, Gi or Ti (a `B` may follow).
std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  if (text.ends_with('B')) text.remove_suffix(1);
  unsigned shift = 0;
  if (text.size() > 2 && text.ends_with('i')) {
    const auto unit = std::string_view{"KMGT"}.find(text[text.size() - 2]);
    if (unit == std::string_view::npos) return std::nullopt;
    shift = 10 * (static_cast<unsigned>(unit) + 1);
    text.remove_suffix(2);
  }
  const auto count = parse_count(text);
  if (!count || (*count << shift) >> shift != *count) return std::nullopt;
  return *count << shift;
}

std::string show_bytes(std::uint64_t bytes) {
  constexpr std::array units{"", "Ki", "Mi", "Gi", "Ti"};
  std::size_t unit = 0;
  for (; bytes != 0 && bytes % 1024 == 0 && unit + 1 < units.size(); ++unit) bytes /= 1024;
  return std::to_string(bytes) + units[unit];
}

bool is_address(const std::string& text) {
  in6_addr scratch{};
  return inet_pton(AF_INET, text.c_str(), &scratch) == 1 || inet_pton(AF_INET6, text.c_str(), &scratch) == 1;
}

bool assign_listen(settings& s, std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  auto host = text.substr(0, colon);
  const auto port = parse_count(text.substr(colon + 1));
  if (!port || *port > std::numeric_limits<std::uint16_t>::max() || text.substr(colon + 1).size() > 5) return false;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  auto address = host == "localhost" ? std::string{"127.0.0.1"} : std::string{host};
  const bool six = address.find(':') != std::string::npos;
  if (six != bracketed || address.find('\0') != std::string::npos || !is_address(address)) return false;
  s.listen_address = std::move(address);
  s.listen_port = static_cast<std::uint16_t>(*port);
  return true;
}

std::string show_listen(const settings& s) {
  const bool six = s.listen_address.find(':') != std::string::npos;
  return (six ? "[" + s.listen_address + "]" : s.listen_address) + ":" + std::to_string(s.listen_port);
}

/// A DNS label, as namespaces are called.
bool is_namespace(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && alphanumeric(name.front()) && alphanumeric(name.back()) &&
         std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '-'; });
}

/// As objects are called.
bool is_object_name(std::string_view name) {
  if (name.size() > 253) return false;
  for (std::size_t from = 0; from <= name.size();) {
    const auto to = std::min(name.find('.', from), name.size());
    if (!is_namespace(name.substr(from, to - from))) return false;
    from = to + 1;
  }
  return true;
}

bool assign_namespaces(settings& s, std::string_view text) {
  std::vector<std::string> all;
  for (std::size_t from = 0; from <= text.size();) {
    const auto to = std::min(text.find(',', from), text.size());
    const auto name = text.substr(from, to - from);
    if (!is_namespace(name)) return false;
    if (std::ranges::find(all, name) == all.end()) all.emplace_back(name);
    from = to + 1;
  }
  s.namespaces = std::move(all);
  return true;
}

std::string show_namespaces(const settings& s) {
  std::string out;
  for (const auto& name : s.namespaces) out.append(out.empty() ? "" : ",").append(name);
  return out;
}

/// Names of zone files only: no way out of the zone database.
bool is_zone(std::string_view text) {
  if (text.empty() || text.front() == '/' || text.front() == ':' || text.find("..") != std::string_view::npos) return false;
  cctz::time_zone zone;
  return cctz::load_time_zone(std::string{text}, &zone);
}

} // namespace

setting duration(std::string_view name, std::string_view meaning, milliseconds settings::* field, milliseconds least, milliseconds most,
                 bool zero_allowed) {
  auto rule = "must be a duration such as 90s, 10m or 1h30m, from " + format_go_duration(least) + " to " + format_go_duration(most);
  if (zero_allowed) rule += ", or 0 to turn it off";
  return kept_in(field, {name, "DURATION", meaning, std::move(rule),
          [=](settings& s, std::string_view text) {
            const auto parsed = parse_go_duration(text);
            if (!parsed) return false;
            const auto value = std::chrono::duration_cast<milliseconds>(*parsed);
            const bool off = zero_allowed && parsed->count() == 0;
            if (!off && (value < least || value > most)) return false;
            s.*field = value;
            return true;
          },
          [=](const settings& s) { return format_go_duration(s.*field); }});
}

setting bytes(std::string_view name, std::string_view meaning, std::uint64_t settings::* field, std::uint64_t least, std::uint64_t most, bool zero_allowed) {
  return kept_in(field, {name, "BYTES", meaning,
          "must be a number of bytes, with Ki, Mi, Gi or Ti behind it if you like, from " + show_bytes(least) + " to " + show_bytes(most) + (zero_allowed ? ", or 0" : ""),
          [=](settings& s, std::string_view text) {
            const auto value = parse_bytes(text);
            const bool off = zero_allowed && value == std::uint64_t{0};
            if (!value || (!off && (*value < least || *value > most))) return false;
            s.*field = *value;
            return true;
          },
          [=](const settings& s) { return show_bytes(s.*field); }});
}

setting flag(std::string_view name, std::string_view meaning, bool settings::* field) {
  return kept_in(field, {name, "", meaning, "must be true or false",
          [=](settings& s, std::string_view text) {
            if (text != "true" && text != "false") return false;
            s.*field = text == "true";
            return true;
          },
          [=](const settings& s) { return std::string{s.*field ? "true" : "false"}; }});
}

setting path(std::string_view name, std::string_view placeholder, std::string_view meaning, std::filesystem::path settings::* field) {
  return kept_in(field, {name, placeholder, meaning, "must be a path",
          [=](settings& s, std::string_view text) {
            if (text.empty() || text.find('\0') != std::string_view::npos) return false;
            s.*field = std::filesystem::path{text};
            return true;
          },
          [=](const settings& s) { return (s.*field).string(); }});
}

setting object_name(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return kept_in(field, {name, "NAME", meaning, "must be the name of an object",
          [=](settings& s, std::string_view text) {
            if (!is_object_name(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }});
}

setting whole_seconds(setting row) {
  row.rule += ", in whole seconds";
  row.assign = [assign = std::move(row.assign)](settings& s, std::string_view text) {
    const auto parsed = parse_go_duration(text);
    return parsed && *parsed % std::chrono::seconds{1} == std::chrono::nanoseconds{0} && assign(s, text);
  };
  return row;
}

setting line(std::string_view name, std::string_view placeholder, std::string_view meaning, std::string rule, std::string settings::* field) {
  return kept_in(field, {name, placeholder, meaning, std::move(rule),
          [=](settings& s, std::string_view text) {
            const bool printable = std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
            if (text.empty() || text.size() > 4096 || !printable) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }});
}

setting label_selector(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return kept_in(field, {name, "SELECTOR", meaning, "must be a label selector such as tier=edge,team!=blue",
          [=](settings& s, std::string_view text) {
            if (text.size() > 4096 || !is_label_selector(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }});
}

setting ranges(std::string_view name, std::string_view meaning, std::vector<ip_range> settings::* field) {
  return kept_in(field, {name, "CIDR", meaning, "must be a range such as 10.0.0.0/8 or fd00::/8 without bits behind its prefix, or several with commas",
          [=](settings& s, std::string_view text) {
            std::vector<ip_range> all;
            for (std::size_t from = 0; from <= text.size();) {
              const auto to = std::min(text.find(',', from), text.size());
              const auto range = parse_ip_range(text.substr(from, to - from));
              if (!range) return false;
              if (std::ranges::find(all, *range) == all.end()) all.push_back(*range);
              from = to + 1;
            }
            s.*field = std::move(all);
            return true;
          },
          [=](const settings& s) {
            std::string out;
            for (const auto& range : s.*field) out.append(out.empty() ? "" : ",").append(to_string(range));
            return out;
          },
          true});
}

setting one_namespace(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return kept_in(field, {name, "NAME", meaning, "must be the name of a namespace",
          [=](settings& s, std::string_view text) {
            if (!is_namespace(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }});
}

setting namespaces(std::string_view name, std::string_view meaning) {
  return {name, "NAME", meaning, "must be the name of a namespace, or several with commas", assign_namespaces, show_namespaces, true};
}

setting listen(std::string_view name, std::string_view meaning) {
  return {name, "ADDR:PORT", meaning, "must be an IP address (IPv6 in brackets) or localhost, and a port, such as 127.0.0.1:7878 or [::1]:7878", assign_listen, show_listen};
}

setting zone(std::string_view name, std::string_view meaning, std::string settings::* field) {
  return kept_in(field, {name, "ZONE", meaning, "must be the name of a zone of the tz database, such as UTC or Europe/Berlin",
          [=](settings& s, std::string_view text) {
            if (!is_zone(text)) return false;
            s.*field = std::string{text};
            return true;
          },
          [=](const settings& s) { return s.*field; }});
}

} // namespace veranda::config
