// SPDX-License-Identifier: Apache-2.0
//
// A Reply's head as HTTP/1.1 writes it. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "http/http.h"

namespace strata::s3 {

struct Framing {
  std::string_view date;         // As FormatHttpDate() writes it.
  bool is_head = false;          // Answers HEAD: no body follows.
  bool close = false;            // The connection ends behind this reply.
  bool says_keep_alive = false;  // The client asked to hear that it does not (HTTP/1.0).
};

// Status line, headers and the empty line. Control characters in values become spaces: a value may
// come from a stored object or from a query.
std::string FormatReplyHead(const Reply& reply, const Framing& framing);

inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace strata::s3
