// SPDX-License-Identifier: Apache-2.0
#include "http/http_reply.h"

#include <boost/beast/http/status.hpp>
#include <optional>

namespace strata::s3 {
namespace {

namespace beast = boost::beast;

void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    out += (byte < 0x20 && c != '\t') || byte == 0x7F ? ' ' : c;
  }
  out += "\r\n";
}

std::optional<uint64_t> ContentLength(const Reply& reply, const Framing& framing) {
  if (reply.status == 204 || reply.status == 304) return std::nullopt;
  if (reply.source != nullptr) return reply.source->size_bytes();
  if (framing.is_head || reply.content_length) return reply.content_length;
  return reply.body.size();
}

}  // namespace

std::string FormatReplyHead(const Reply& reply, const Framing& framing) {
  std::string out;
  out.reserve(512);
  out += "HTTP/1.1 ";
  out += std::to_string(reply.status);
  out += ' ';
  out += std::string_view(beast::http::obsolete_reason(beast::http::status(reply.status)));
  out += "\r\n";
  AppendHeader(out, "Server", "Strata");
  AppendHeader(out, "Date", framing.date);
  for (const HttpHeader& header : reply.headers) AppendHeader(out, header.name, header.value);
  if (const std::optional<uint64_t> length = ContentLength(reply, framing)) {
    AppendHeader(out, "Content-Length", std::to_string(*length));
  }
  if (framing.close) {
    AppendHeader(out, "Connection", "close");
  } else if (framing.says_keep_alive) {
    AppendHeader(out, "Connection", "keep-alive");
  }
  out += "\r\n";
  return out;
}

}  // namespace strata::s3
