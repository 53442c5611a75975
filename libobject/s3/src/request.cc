// SPDX-License-Identifier: Apache-2.0
#include "request.h"

#include <optional>
#include <utility>

#include "errors.h"
#include "text.h"

namespace strata::s3 {
namespace {

// "bucket.domain:9000" with "domain" among `domains`: "bucket". Empty: the host names no bucket.
std::string BucketOfHost(std::string_view host, const std::vector<std::string>& domains) {
  const std::string name = ToLower(host.substr(0, host.find(':')));
  for (const std::string& domain : domains) {
    const std::string suffix = Concat({".", ToLower(domain)});
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return name.substr(0, name.size() - suffix.size());
    }
  }
  return {};
}

}  // namespace

const std::string* Request::FindQuery(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

std::string_view Request::Query(std::string_view name) const {
  const std::string* value = FindQuery(name);
  return value == nullptr ? std::string_view() : std::string_view(*value);
}

absl::StatusOr<Request> ParseRequest(HttpHead head, const std::vector<std::string>& domains) {
  Request request;
  request.head = std::move(head);
  std::string_view target = request.head.target;
  target = target.substr(0, target.find('#'));
  if (target.substr(0, 7) == "http://" || target.substr(0, 8) == "https://") {
    // Proxies are sent the absolute form (RFC 9112, section 3.2.2).
    const size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target.empty() || target.front() != '/') return MakeError(ErrorCode::kInvalidUri);

  const auto [raw_path, raw_query] = SplitOnce(target, '?');
  std::optional<std::string> path = UriDecode(raw_path, Plus::kPlus);
  std::optional<QueryParameters> query = ParseQuery(raw_query);
  if (!path || !query || !IsValidUtf8(*path)) return MakeError(ErrorCode::kInvalidUri);
  request.path = *std::move(path);
  request.query = *std::move(query);

  request.bucket = BucketOfHost(request.Header("host"), domains);
  std::string_view rest = std::string_view(request.path).substr(1);
  if (request.bucket.empty()) {
    const auto [bucket, key] = SplitOnce(rest, '/');
    request.bucket = bucket;
    request.key = key;
  } else {
    request.key = rest;
  }
  if (request.bucket.empty() && !request.key.empty()) {
    return MakeError(ErrorCode::kInvalidUri, "The path has a key but no bucket.");
  }
  return request;
}

}  // namespace strata::s3
