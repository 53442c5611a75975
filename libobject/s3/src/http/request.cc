// SPDX-License-Identifier: Apache-2.0
#include "http/request.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <utility>

#include "http/errors.h"
#include "http/text.h"
#include "strata/base/status_macros.h"
#include "strata/base/utf8.h"

namespace strata::s3 {
namespace {

// Each costs memory of its own, were it only a name of one byte.
constexpr int64_t kMaxParameters = 256;

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

// Query parameters of a presigned URL that are not headers, and those by which a request is read
// before its signature is checked.
constexpr std::array<std::string_view, 10> kNoHeaders = {"x-amz-algorithm",
                                                         "x-amz-content-sha256",
                                                         "x-amz-credential",
                                                         "x-amz-date",
                                                         "x-amz-decoded-content-length",
                                                         "x-amz-expires",
                                                         "x-amz-security-token",
                                                         "x-amz-signature",
                                                         "x-amz-signedheaders",
                                                         "x-amz-trailer"};

constexpr size_t kMaxHeadersOfQuery = 100;

// RFC 9110, section 5.6.2, in lower case.
bool IsToken(std::string_view name) {
  return name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") ==
         std::string_view::npos;
}

bool HasControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

absl::Status AddHeadersOfQuery(Request& request) {
  size_t count = 0;
  for (const auto& [parameter, value] : request.query) {
    if (parameter.size() < 7) continue;
    std::string name = ToLower(parameter);
    if (!name.starts_with("x-amz-")) continue;
    if (std::find(kNoHeaders.begin(), kNoHeaders.end(), name) != kNoHeaders.end()) continue;
    if (!IsToken(name) || HasControlCharacter(value)) {
      return MakeError(ErrorCode::kInvalidArgument,
                       "A query parameter that begins with x-amz- is no header.");
    }
    const std::string_view trimmed = Trim(value);
    if (const std::string* given = request.head.Find(name)) {
      if (*given == trimmed) continue;
      return MakeError(ErrorCode::kInvalidArgument,
                       Concat({name, " has two values, one of them in the query."}));
    }
    if (++count > kMaxHeadersOfQuery) {
      return MakeError(ErrorCode::kInvalidArgument, "The query has too many headers.");
    }
    request.head.headers.push_back({std::move(name), std::string(trimmed), /*in_query=*/true});
  }
  return absl::OkStatus();
}

// Headers whose values no comma can join: with two of them it is not clear what is asked for.
constexpr auto kSingleHeaders = std::to_array<std::string_view>(
    {"authorization", "content-length", "content-md5", "content-range", "content-type", "date",
     "if-modified-since", "if-range", "if-unmodified-since", "range", "x-amz-content-sha256",
     "x-amz-copy-source", "x-amz-copy-source-range", "x-amz-date", "x-amz-decoded-content-length",
     "x-amz-tagging"});

// RFC 9110, section 5.3.
absl::Status JoinHeaders(std::vector<HttpHeader>& headers) {
  std::map<std::string, size_t> first;  // By name.
  size_t kept = 0;
  for (size_t i = 0; i < headers.size(); ++i) {
    const auto [at, is_first] = first.emplace(headers[i].name, kept);
    if (is_first) {
      if (kept != i) headers[kept] = std::move(headers[i]);
      ++kept;
      continue;
    }
    HttpHeader& joined = headers[at->second];
    const auto* single = std::find(kSingleHeaders.begin(), kSingleHeaders.end(), joined.name);
    if (single == kSingleHeaders.end()) {
      joined.value += Concat({",", headers[i].value});
    } else if (joined.value != headers[i].value) {
      return MakeError(ErrorCode::kInvalidArgument,
                       Concat({"The header ", joined.name, " was sent several times."}));
    }
  }
  headers.resize(kept);
  return absl::OkStatus();
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
  STRATA_RETURN_IF_ERROR(JoinHeaders(request.head.headers));
  for (HttpHeader& header : request.head.headers) {
    if (!IsUtf8(header.value)) header.value = Latin1ToUtf8(header.value);
  }
  std::string_view target = request.head.target;
  target = target.substr(0, target.find('#'));
  if (target.substr(0, 7) == "http://" || target.substr(0, 8) == "https://") {
    // Proxies are sent the absolute form (RFC 9112, section 3.2.2).
    const size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
  }
  if (target.empty() || target.front() != '/') return MakeError(ErrorCode::kInvalidUri);

  const auto [raw_path, raw_query] = SplitOnce(target, '?');
  if (std::count(raw_query.begin(), raw_query.end(), '&') >= kMaxParameters) {
    return MakeError(ErrorCode::kInvalidUri, "The query has too many parameters.");
  }
  std::optional<std::string> path = UriDecode(raw_path, Plus::kPlus);
  std::optional<QueryParameters> query = ParseQuery(raw_query);
  if (!path || !query || !IsUtf8(*path)) return MakeError(ErrorCode::kInvalidUri);
  request.path = *std::move(path);
  request.query = *std::move(query);

  request.bucket = BucketOfHost(request.Header("host"), domains);
  request.bucket_in_host = !request.bucket.empty();
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
  STRATA_RETURN_IF_ERROR(AddHeadersOfQuery(request));
  return request;
}

}  // namespace strata::s3
