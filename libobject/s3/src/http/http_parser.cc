// SPDX-License-Identifier: Apache-2.0
#include "http/http_parser.h"

#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include "http/errors.h"
#include "http/text.h"
#include "strata/base/status_macros.h"

namespace strata::s3 {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;

constexpr size_t kMaxHeaders = 512;

std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

absl::Status HttpError(const error_code& error) {
  if (error == http::error::header_limit) return MakeError(ErrorCode::kRequestHeaderTooLarge);
  return MakeError(ErrorCode::kMalformedRequest,
                   Concat({"The request is not valid HTTP/1.1: ", error.message(), "."}));
}

// RFC 9112, section 3.2: exactly one, or a request could mean two things to two readers.
absl::Status CheckHost(const HttpHead& head, bool is_http_1_0) {
  size_t count = 0;
  for (const HttpHeader& header : head.headers) count += header.name == "host";
  if (count == 1 || (is_http_1_0 && count == 0)) return absl::OkStatus();
  return MakeError(ErrorCode::kMalformedRequest, "There must be one Host header.");
}

}  // namespace

struct HttpParser::State {
  http::request_parser<http::empty_body> parser;
  HttpHead head;
};

HttpParser::HttpParser(size_t max_header_bytes) : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<std::uint32_t>(max_header_bytes));
  state_->parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  state_->parser.eager(false);
}
HttpParser::~HttpParser() = default;
HttpParser::HttpParser(HttpParser&&) noexcept = default;
HttpParser& HttpParser::operator=(HttpParser&&) noexcept = default;

absl::StatusOr<size_t> HttpParser::ParseHead(std::span<const std::byte> bytes) {
  error_code error;
  size_t taken = 0;
  try {
    taken = state_->parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  } catch (const std::length_error&) {
    // Beast keeps a field's size in 16 bits and throws at what has more.
    return MakeError(ErrorCode::kRequestHeaderTooLarge);
  }
  if (error && error != http::error::need_more) return HttpError(error);
  if (!state_->parser.is_header_done()) return taken;

  const auto& message = state_->parser.get();
  HttpHead& head = state_->head;
  head.method = View(message.method_string());
  head.target = View(message.target());
  head.keep_alive = state_->parser.keep_alive();
  head.chunked = state_->parser.chunked();
  if (const auto length = state_->parser.content_length()) head.content_length = *length;
  for (const auto& field : message) {
    if (head.headers.size() == kMaxHeaders) {
      return MakeError(ErrorCode::kRequestHeaderTooLarge);
    }
    head.headers.push_back(
        {ToLower(View(field.name_string())), std::string(Trim(View(field.value())))});
  }
  STRATA_RETURN_IF_ERROR(CheckHost(head, message.version() == 10));
  if (const std::string* expectation = head.Find("expect"); expectation && !expectation->empty()) {
    head.expect_continue = EqualsIgnoreCase(*expectation, "100-continue");
    head.unknown_expectation = !head.expect_continue;
  }
  if (head.Find("transfer-encoding") != nullptr && !head.chunked) {
    return MakeError(ErrorCode::kMalformedRequest, "The transfer coding is not known.");
  }
  return taken;
}

bool HttpParser::head_done() const { return state_->parser.is_header_done(); }

HttpHead HttpParser::TakeHead() { return std::move(state_->head); }

}  // namespace strata::s3
