// SPDX-License-Identifier: Apache-2.0
#include "strata/nvmeof/endpoint.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace strata::nvmeof {
namespace {

absl::Status Invalid(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("address '",
                                                 absl::string_view(text.data(), text.size()),
                                                 "': ", absl::string_view(why.data(), why.size())));
}

std::optional<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

}  // namespace

absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text, uint16_t default_port) {
  Endpoint endpoint;
  endpoint.port = default_port;
  std::string_view rest;  // After the address.
  std::string address;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return Invalid(text, "']' is missing");
    endpoint.is_ipv6 = true;
    address = text.substr(1, close - 1);
    rest = text.substr(close + 1);
  } else {
    const size_t colon = text.find(':');
    address = text.substr(0, colon);
    if (colon != std::string_view::npos) rest = text.substr(colon);
  }
  // inet_pton() would stop at a zero byte and call the rest no part of the address.
  if (address.find('\0') != std::string::npos ||
      inet_pton(endpoint.is_ipv6 ? AF_INET6 : AF_INET, address.c_str(), endpoint.address.data()) !=
          1) {
    return Invalid(text, "not a numeric IPv4 address or an IPv6 address in brackets");
  }
  if (rest.empty()) return endpoint;
  const std::optional<uint16_t> port =
      rest.front() == ':' ? ParsePort(rest.substr(1)) : std::nullopt;
  if (!port.has_value()) return Invalid(text, "the port is not ':' and a number in 0..65535");
  endpoint.port = *port;
  return endpoint;
}

bool IsLoopback(const Endpoint& endpoint) {
  if (!endpoint.is_ipv6) return endpoint.address[0] == 127;
  constexpr size_t kLast = 15;
  const auto begin = endpoint.address.begin();
  const auto is_zero = [](uint8_t byte) { return byte == 0; };
  if (std::all_of(begin, begin + kLast, is_zero)) return endpoint.address[kLast] == 1;
  // ::ffff:127.0.0.1, an IPv4 address in the form of IPv6.
  return std::all_of(begin, begin + 10, is_zero) && endpoint.address[10] == 0xff &&
         endpoint.address[11] == 0xff && endpoint.address[12] == 127;
}

std::string ToString(const Endpoint& endpoint) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(endpoint.is_ipv6 ? AF_INET6 : AF_INET, endpoint.address.data(), text, sizeof(text));
  return endpoint.is_ipv6 ? absl::StrCat("[", text, "]:", endpoint.port)
                          : absl::StrCat(text, ":", endpoint.port);
}

}  // namespace strata::nvmeof
