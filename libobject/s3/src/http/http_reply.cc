// SPDX-License-Identifier: Apache-2.0
#include "http/http_reply.h"

#include <optional>

namespace strata::s3 {
namespace {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

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
  out += ReasonPhrase(reply.status);
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
