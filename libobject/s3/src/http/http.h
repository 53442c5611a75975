// SPDX-License-Identifier: Apache-2.0
//
// An HTTP request's head and an answer to it, free of sockets and of any library for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace strata::s3 {

struct HttpHeader {
  std::string name;       // Lower case in requests.
  std::string value;      // Without spaces around it.
  bool in_query = false;  // It came as a query parameter: see ParseRequest().
};

struct HttpHead {
  std::string method;
  std::string target;  // As it stands in the request line.
  std::vector<HttpHeader> headers;
  std::optional<uint64_t> content_length;
  bool chunked = false;  // Transfer-Encoding: chunked; content_length is not set then.
  bool keep_alive = true;
  bool expect_continue = false;
  bool unknown_expectation = false;

  // The first header of that name, given in lower case. nullptr: none.
  const std::string* Find(std::string_view name) const {
    for (const HttpHeader& header : headers) {
      if (header.name == name) return &header.value;
    }
    return nullptr;
  }

  // The same, or empty.
  std::string_view Value(std::string_view name) const {
    const std::string* value = Find(name);
    return value == nullptr ? std::string_view() : std::string_view(*value);
  }
};

// The content of an answer that is too large to be a string. Used by one thread at a time, in which
// it may block.
class BodySource {
 public:
  virtual ~BodySource() = default;
  virtual uint64_t size_bytes() const = 0;

  // The next bytes: as many as fit into `out`, fewer only at the end. Then 0.
  virtual absl::StatusOr<size_t> Read(std::span<std::byte> out) = 0;
};

struct Reply {
  int status = 200;
  std::vector<HttpHeader> headers;  // Without Content-Length, Date, Server and Connection.
  std::string body;
  std::unique_ptr<BodySource> source;      // Instead of `body`.
  std::optional<uint64_t> content_length;  // Where neither of the two is there to tell it.

  void Add(std::string_view name, std::string_view value) {
    headers.push_back({std::string(name), std::string(value)});
  }
};

}  // namespace strata::s3
