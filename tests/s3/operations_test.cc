// SPDX-License-Identifier: Apache-2.0
//
// Which request is which operation, and what a request says of its bucket, key and content.
#include "operations/operations.h"

#include <array>

#include <catch2/catch.hpp>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/request.h"
#include "protocol/checksum_headers.h"
#include "protocol/listing_parameters.h"
#include "protocol/object_headers.h"

namespace strata::s3 {
namespace {

Request Parse(std::string_view method, std::string_view target,
              std::vector<HttpHeader> headers = {}, std::vector<std::string> domains = {}) {
  HttpHead head;
  head.method = method;
  head.target = target;
  head.headers = std::move(headers);
  absl::StatusOr<Request> request = ParseRequest(std::move(head), domains);
  INFO(target);
  REQUIRE(request.ok());
  return *std::move(request);
}

// The operation's name, or the error's.
std::string_view NameOf(const Request& request) {
  const absl::StatusOr<const Operation*> operation = FindOperation(request);
  absl::Status status = operation.status();
  if (status.ok()) status = CheckRequest(request, **operation);
  return status.ok() ? (*operation)->name : InfoOf(ErrorCodeOf(status)).name;
}

TEST_CASE("each request finds its operation") {
  const std::vector<HttpHeader> copy = {{"x-amz-copy-source", "/b/k"}};
  CHECK(NameOf(Parse("GET", "/")) == "ListBuckets");
  CHECK(NameOf(Parse("POST", "/")) == "MethodNotAllowed");
  CHECK(NameOf(Parse("GET", "/b")) == "ListObjects");
  CHECK(NameOf(Parse("GET", "/b/?list-type=2&prefix=x")) == "ListObjectsV2");
  CHECK(NameOf(Parse("GET", "/b?list-type=1")) == "ListObjects");
  CHECK(NameOf(Parse("GET", "/b?versions")) == "ListObjectVersions");
  CHECK(NameOf(Parse("GET", "/b?uploads")) == "ListMultipartUploads");
  CHECK(NameOf(Parse("GET", "/b?location")) == "GetBucketLocation");
  CHECK(NameOf(Parse("GET", "/b?policy")) == "GetBucketConfiguration");
  CHECK(NameOf(Parse("PUT", "/b?lifecycle")) == "PutBucketConfiguration");
  CHECK(NameOf(Parse("DELETE", "/b?cors")) == "DeleteBucketConfiguration");
  CHECK(NameOf(Parse("PUT", "/b")) == "CreateBucket");
  CHECK(NameOf(Parse("HEAD", "/b")) == "HeadBucket");
  CHECK(NameOf(Parse("DELETE", "/b")) == "DeleteBucket");
  CHECK(NameOf(Parse("POST", "/b?delete")) == "DeleteObjects");
  CHECK(NameOf(Parse("PATCH", "/b")) == "MethodNotAllowed");
  CHECK(NameOf(Parse("GET", "/b/k")) == "GetObject");
  CHECK(NameOf(Parse("GET", "/b/k?versionId=1&partNumber=2")) == "GetObject");
  CHECK(NameOf(Parse("GET", "/b/k?tagging")) == "GetObjectTagging");
  CHECK(NameOf(Parse("GET", "/b/k?uploadId=u")) == "ListParts");
  CHECK(NameOf(Parse("PUT", "/b/k")) == "PutObject");
  CHECK(NameOf(Parse("PUT", "/b/k", copy)) == "CopyObject");
  CHECK(NameOf(Parse("PUT", "/b/k?partNumber=1&uploadId=u")) == "UploadPart");
  CHECK(NameOf(Parse("PUT", "/b/k?partNumber=1&uploadId=u", copy)) == "UploadPartCopy");
  CHECK(NameOf(Parse("POST", "/b/k?uploads")) == "CreateMultipartUpload");
  CHECK(NameOf(Parse("POST", "/b/k?uploadId=u")) == "CompleteMultipartUpload");
  CHECK(NameOf(Parse("DELETE", "/b/k?uploadId=u")) == "AbortMultipartUpload");
  CHECK(NameOf(Parse("DELETE", "/b/k")) == "DeleteObject");
  CHECK(NameOf(Parse("POST", "/b/k")) == "MethodNotAllowed");
}

TEST_CASE("a sub-resource never gives way to the plain operation") {
  const auto of_s3 =
      std::to_array<std::pair<const char*, const char*>>({{"PUT", "/b/k?renameObject"},
                                                          {"PUT", "/b/k?encryption"},
                                                          {"PUT", "/b/k?annotation"},
                                                          {"DELETE", "/b/k?annotation"},
                                                          {"POST", "/b/k?restore"},
                                                          {"POST", "/b/k?select"},
                                                          {"GET", "/b/k?torrent"},
                                                          {"GET", "/b?session"},
                                                          {"GET", "/b?abac"},
                                                          {"GET", "/b?metadataTable"},
                                                          {"DELETE", "/b?metadataTable"},
                                                          {"DELETE", "/b?metadataConfiguration"},
                                                          {"PUT", "/b?metadataJournalTable"},
                                                          {"GET", "/?x-id=ListDirectoryBuckets"},
                                                          {"GET", "/?max-directory-buckets=1"}});
  for (const auto& [method, target] : of_s3) {
    INFO(method << " " << target);
    CHECK(NameOf(Parse(method, target)) == "NotImplemented");
  }
  const auto of_nobody = std::to_array<std::pair<const char*, const char*>>(
      {{"DELETE", "/b/k?acl"},       {"DELETE", "/b/k?retention"}, {"DELETE", "/b/k?legal-hold"},
       {"DELETE", "/b/k?restore"},   {"DELETE", "/b/k?uploads"},   {"DELETE", "/b/k?versions"},
       {"DELETE", "/b/k?lifecycle"}, {"PUT", "/b/k?restore"},      {"PUT", "/b/k?versions"},
       {"PUT", "/b/k?lifecycle"},    {"PUT", "/b/k?uploads"},      {"DELETE", "/b?acl"},
       {"DELETE", "/b?versioning"},  {"DELETE", "/b?uploads"},     {"DELETE", "/b?retention"},
       {"PUT", "/b?uploads"},        {"PUT", "/b?delete"},         {"GET", "/b?delete"},
       {"GET", "/b/k?policy"},       {"GET", "/b?retention"},      {"HEAD", "/b/k?acl"},
       {"HEAD", "/b?versions"},      {"GET", "/b?uploadId=1"},     {"GET", "/?acl"}});
  for (const auto& [method, target] : of_nobody) {
    INFO(method << " " << target);
    CHECK(NameOf(Parse(method, target)) == "MethodNotAllowed");
  }
  CHECK(NameOf(Parse("DELETE", "/b/k?acl&tagging")) == "InvalidArgument");
  CHECK(NameOf(Parse("PUT", "/b/k?uploadId=1&partNumber=1&tagging")) == "InvalidArgument");
}

TEST_CASE("a write takes the parameters of its operation, and no other that S3 has") {
  for (std::string_view query :
       {"versionId=1", "partNumber=1", "prefix=a", "id=1", "versionid=1", "VERSIONID=1",
        "annotationName=a", "list-type=1", "response-content-type=a"}) {
    INFO(query);
    const std::string put = "/b/k?" + std::string(query);
    CHECK(NameOf(Parse("PUT", put)) == "InvalidArgument");
    CHECK(NameOf(Parse("DELETE", "/b?" + std::string(query))) == "InvalidArgument");
  }
  CHECK(NameOf(Parse("DELETE", "/b/k?versionId=1")) == "DeleteObject");
  CHECK(NameOf(Parse("DELETE", "/b/k?versionId=")) == "InvalidArgument");
  CHECK(NameOf(Parse("DELETE", "/b/k?versionId=1&versionId=2")) == "InvalidArgument");
  CHECK(NameOf(Parse("GET", "/b/k?versionId")) == "InvalidArgument");
  CHECK(NameOf(Parse("GET", "/b/k?prefix=1")) == "GetObject");
  CHECK(NameOf(Parse("GET", "/b/k?uploadId=1&uploadId=2")) == "InvalidArgument");
}

TEST_CASE("parameters that S3 does not know") {
  for (std::string_view method : {"PUT", "DELETE"}) {
    const std::string_view plain = method == "PUT" ? "PutObject" : "DeleteObject";
    CHECK(NameOf(Parse(method, "/b/k?somethingNew")) == "NotImplemented");
    CHECK(NameOf(Parse(method, "/b/k?somethingNew=")) == "NotImplemented");
    CHECK(NameOf(Parse(method, "/b/k?foo=bar")) == plain);
    CHECK(NameOf(Parse(method, "/b/k?x-id=Any")) == plain);
    CHECK(NameOf(Parse(method, "/b/k?x-mine")) == plain);
    CHECK(NameOf(Parse(method, "/b/k?X-Amz-Signature=a&X-Amz-Expires=1")) == plain);
  }
  CHECK(NameOf(Parse("GET", "/b/k?12345")) == "GetObject");
  CHECK(NameOf(Parse("GET", "/b?somethingNew&foo=bar")) == "ListObjects");
}

TEST_CASE("headers in the query of a presigned URL are headers") {
  CHECK(NameOf(Parse("PUT", "/b/k?x-amz-copy-source=%2Fb%2Fk")) == "CopyObject");
  CHECK(NameOf(Parse("PUT", "/b/k?X-Amz-Server-Side-Encryption=AES256")) == "NotImplemented");
  CHECK(NameOf(Parse("PUT", "/b/k?x-amz-acl=public-read")) == "AccessControlListNotSupported");
  CHECK(NameOf(Parse("PUT", "/b/k?x-amz-write-offset-bytes=1")) == "NotImplemented");
  const Request request = Parse("PUT", "/b/k?X-Amz-Meta-A=%20b&X-Amz-Date=1&x-amz-Security-token=1",
                                {{"x-amz-meta-c", "d"}});
  REQUIRE(request.head.headers.size() == 2);
  CHECK(request.Header("x-amz-meta-a") == "b");
  CHECK(request.head.headers[1].in_query);
  for (std::string_view target : {"/b/k?x-amz-meta-a=%0d%0aB:%20c", "/b/k?x-amz-meta-%0aa=b",
                                  "/b/k?x-amz-meta-c=e", "/b/k?x-amz-meta-%20=b"}) {
    HttpHead head;
    head.method = "PUT";
    head.target = target;
    head.headers = {{"x-amz-meta-c", "d"}};
    INFO(target);
    CHECK(ErrorCodeOf(ParseRequest(std::move(head), {}).status()) == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("bucket and key, in the path or the host") {
  Request request = Parse("GET", "/b/a%20b//c/../d%2Fe+f");
  CHECK(request.bucket == "b");
  CHECK(request.key == "a b//c/../d/e+f");
  request = Parse("GET", "/a/b", {{"host", "Bucket.S3.example.org:9000"}}, {"s3.example.org"});
  CHECK(request.bucket == "bucket");
  CHECK(request.key == "a/b");
  request = Parse("GET", "/a/b", {{"host", "s3.example.org:9000"}}, {"s3.example.org"});
  CHECK(request.bucket == "a");
  CHECK(request.key == "b");
  request = Parse("GET", "http://host:1/a/b?x=1");
  CHECK(request.bucket == "a");
  CHECK(request.Query("x") == "1");
  request = Parse("GET", "/a/");
  CHECK(request.key.empty());
}

TEST_CASE("targets that cannot be understood") {
  for (std::string_view target : {"", "b/k", "*", "/b/%zz", "/b/%ff", "/b?a=%1", "//k"}) {
    HttpHead head;
    head.method = "GET";
    head.target = target;
    INFO(target);
    const absl::StatusOr<Request> request = ParseRequest(std::move(head), {});
    REQUIRE_FALSE(request.ok());
    CHECK(ErrorCodeOf(request.status()) == ErrorCode::kInvalidUri);
  }
}

TEST_CASE("the checksums a request announces") {
  auto parse = [](std::vector<HttpHeader> headers) {
    return ParseContentChecksum(Parse("PUT", "/b/k", std::move(headers)));
  };
  CHECK(parse({})->empty());
  const auto md5 = parse({{"content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="}});
  REQUIRE(md5.ok());
  CHECK(md5->md5->size() == 16);
  const auto crc =
      parse({{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-sdk-checksum-algorithm", "CRC32"}});
  REQUIRE(crc.ok());
  CHECK(crc->algorithm == object::ChecksumAlgorithm::kCrc32);
  CHECK(crc->value == std::string(4, '\0'));
  const auto trailer = parse({{"x-amz-trailer", "x-amz-checksum-crc64nvme"}});
  REQUIRE(trailer.ok());
  CHECK(trailer->algorithm == object::ChecksumAlgorithm::kCrc64Nvme);
  CHECK_FALSE(trailer->value.has_value());

  CHECK(ErrorCodeOf(parse({{"content-md5", "x"}}).status()) == ErrorCode::kInvalidDigest);
  CHECK(ErrorCodeOf(parse({{"content-md5", ""}}).status()) == ErrorCode::kInvalidDigest);
  // Values that no content has.
  CHECK(ErrorCodeOf(parse({{"x-amz-checksum-crc32", "AAAA"}}).status()) == ErrorCode::kBadDigest);
  CHECK(ErrorCodeOf(parse({{"x-amz-checksum-sha1", "AAAAAA=="}}).status()) ==
        ErrorCode::kBadDigest);
  for (const std::vector<HttpHeader>& wrong : std::vector<std::vector<HttpHeader>>{
           {{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-checksum-crc32c", "AAAAAA=="}},
           {{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-trailer", "x-amz-checksum-crc32"}},
           {{"x-amz-sdk-checksum-algorithm", "CRC32"}},
           {{"x-amz-sdk-checksum-algorithm", "ROT13"}},
           {{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-sdk-checksum-algorithm", "SHA1"}}}) {
    INFO(wrong[0].name << ": " << wrong[0].value);
    CHECK(ErrorCodeOf(parse(wrong).status()) == ErrorCode::kInvalidRequest);
  }
}

TEST_CASE("a checksum that was announced for the trailer must come there") {
  ContentChecksum checksum;
  checksum.algorithm = object::ChecksumAlgorithm::kCrc32;
  const auto claims = ClaimsOf(checksum, {{"x-amz-checksum-crc32", "AAAAAA=="}});
  REQUIRE(claims.ok());
  CHECK(claims->checksum == std::string(4, '\0'));
  CHECK(ErrorCodeOf(ClaimsOf(checksum, {}).status()) == ErrorCode::kMalformedTrailer);
  CHECK(ErrorCodeOf(ClaimsOf(checksum, {{"x-amz-checksum-crc32c", "AAAAAA=="}}).status()) ==
        ErrorCode::kMalformedTrailer);
  CHECK(ErrorCodeOf(ClaimsOf({}, {{"x-amz-checksum-crc32", "AAAAAA=="}}).status()) ==
        ErrorCode::kMalformedTrailer);
}

TEST_CASE("an object's metadata in headers") {
  const auto metadata = ParseMetadata(Parse("PUT", "/b/k",
                                            {{"content-type", "text/plain"},
                                             {"content-encoding", "aws-chunked, gzip"},
                                             {"x-amz-meta-one", "1"},
                                             {"x-amz-meta-two", "=?UTF-8?B?w6Q=?="},
                                             {"x-amz-meta-two", "b"},
                                             {"x-amz-tagging", "a=1&b=%20"}}));
  REQUIRE(metadata.ok());
  CHECK(metadata->content_type == "text/plain");
  CHECK(metadata->content_encoding == "gzip");
  CHECK(metadata->user == std::map<std::string, std::string>{{"one", "1"}, {"two", "\xC3\xA4,b"}});
  CHECK(metadata->tags == std::map<std::string, std::string>{{"a", "1"}, {"b", " "}});
  CHECK(ParseMetadata(Parse("PUT", "/b/k"))->content_type == "binary/octet-stream");
  CHECK(ErrorCodeOf(
            ParseMetadata(Parse("PUT", "/b/k", {{"x-amz-storage-class", "FAST"}})).status()) ==
        ErrorCode::kInvalidStorageClass);
  for (std::string_view tagging : {"a=1&a=2", "=1", "%", "a&b&c&d&e&f&g&h&i&j&k"}) {
    INFO(tagging);
    CHECK(ErrorCodeOf(ParseTagging(tagging).status()) == ErrorCode::kInvalidTag);
  }
}

TEST_CASE("protection that is not there is refused") {
  auto refused = [](std::string name, std::string value) {
    return ErrorCodeOf(CheckHeaders(Parse("PUT", "/b/k", {{name, value}}), "PutObject", 0));
  };
  CHECK(refused("x-amz-server-side-encryption", "AES256") == ErrorCode::kNotImplemented);
  CHECK(refused("x-amz-server-side-encryption-customer-key", "k") == ErrorCode::kNotImplemented);
  CHECK(refused("x-amz-object-lock-mode", "COMPLIANCE") == ErrorCode::kNotImplemented);
  CHECK(refused("x-amz-acl", "public-read") == ErrorCode::kAccessControlListNotSupported);
  CHECK(refused("x-amz-grant-read", "id=x") == ErrorCode::kAccessControlListNotSupported);
  CHECK(CheckHeaders(Parse("PUT", "/b/k", {{"x-amz-acl", "private"}}), "PutObject", 0).ok());
}

TEST_CASE("a header that asks for what is not done is refused, and not ignored") {
  auto name_of = [](std::string_view method, std::string_view target, std::string name,
                    std::string value) {
    return NameOf(Parse(method, target, {{std::move(name), std::move(value)}}));
  };
  for (std::string name :
       {"x-amz-write-offset-bytes", "x-amz-rename-source", "content-range", "x-amz-something-new",
        "x-amz-if-match-size", "x-amz-copy-source-range", "x-amz-copy-source-if-match",
        "x-amz-metadata-directive", "x-amz-mp-object-size", "x-amz-object-ownership",
        "if-modified-since", "x-amz-object-if-match"}) {
    INFO(name);
    CHECK(name_of("PUT", "/b/k", name, "1") == "NotImplemented");
    CHECK(name_of("DELETE", "/b/k", name, "1") == "NotImplemented");
  }
  for (std::string name :
       {"if-match", "if-none-match", "if-unmodified-since", "if-modified-since"}) {
    INFO(name);
    for (std::string_view target : {"/b", "/b/k?tagging", "/b/k?uploadId=1"}) {
      CHECK(name_of("DELETE", target, name, "*") == "NotImplemented");
    }
    CHECK(name_of("PUT", "/b/k?tagging", name, "*") == "NotImplemented");
    CHECK(name_of("POST", "/b?delete", name, "*") == "NotImplemented");
    CHECK(name_of("GET", "/b/k", name, "*") == "GetObject");
  }
  for (std::string name : {"if-none-match", "if-unmodified-since", "if-modified-since"}) {
    CHECK(name_of("DELETE", "/b/k", name, "*") == "NotImplemented");
  }
  CHECK(name_of("PUT", "/b/k", "if-match", "\"a\"") == "PutObject");
  CHECK(name_of("PUT", "/b/k", "if-none-match", "*") == "PutObject");
  // A condition that says nothing is not a condition that holds.
  CHECK(name_of("PUT", "/b/k", "if-match", "") == "InvalidArgument");
  CHECK(name_of("PUT", "/b/k", "if-none-match", ",") == "InvalidArgument");
  CHECK(name_of("PUT", "/b/k", "if-unmodified-since", "yesterday") == "InvalidArgument");
  for (std::string name : {"x-amz-meta-a", "x-amz-user-agent", "x-amz-sdk-invocation-id",
                           "x-amz-request-payer", "x-amz-mfa", "x-amz-expected-bucket-owner"}) {
    INFO(name);
    CHECK(name_of("PUT", "/b/k", name, "1") == "PutObject");
    CHECK(name_of("DELETE", "/b/k", name, "1") == "DeleteObject");
  }
  CHECK(name_of("GET", "/b/k", "x-amz-something-new", "1") == "GetObject");
  CHECK(name_of("PUT", "/b", "x-amz-object-ownership", "BucketOwnerEnforced") == "CreateBucket");
  CHECK(name_of("PUT", "/b", "x-amz-object-ownership", "ObjectWriter") == "NotImplemented");
  CHECK(name_of("PUT", "/b", "x-amz-object-ownership", "Me") == "InvalidArgument");
  CHECK(name_of("PUT", "/b", "x-amz-bucket-object-lock-enabled", "true") == "NotImplemented");
  CHECK(name_of("PUT", "/b", "x-amz-bucket-object-lock-enabled", "false") == "CreateBucket");
}

TEST_CASE("a checksum that cannot be verified is refused") {
  for (std::string name : {"sha512", "md5", "xxhash64", "xxhash3", "xxhash128", "crc16"}) {
    INFO(name);
    const std::vector<HttpHeader> header = {{"x-amz-checksum-" + name, "AAAAAA=="}};
    for (std::string_view target : {"/b/k", "/b/k?uploadId=1&partNumber=1", "/b/k?tagging"}) {
      CHECK(NameOf(Parse("PUT", target, header)) == "InvalidRequest");
    }
    CHECK(NameOf(Parse("POST", "/b/k?uploadId=1", header)) == "InvalidRequest");
    CHECK(NameOf(Parse("POST", "/b?delete", header)) == "InvalidRequest");
    CHECK(NameOf(Parse("POST", "/b/k?uploads", {{"x-amz-checksum-algorithm", name}})) ==
          "InvalidRequest");
    CHECK(NameOf(Parse("PUT", "/b/k?x-amz-checksum-" + name + "=AA")) == "InvalidRequest");
    const auto announced =
        ParseContentChecksum(Parse("PUT", "/b/k", {{"x-amz-trailer", "x-amz-checksum-" + name}}));
    CHECK(ErrorCodeOf(announced.status()) == ErrorCode::kInvalidRequest);
    const auto sent = ClaimsOf({}, {{"x-amz-checksum-" + name, "AAAAAA=="}});
    CHECK(ErrorCodeOf(sent.status()) == ErrorCode::kMalformedTrailer);
  }
  for (std::string trailer : {"", "x-amz-meta-a", "x-amz-checksum-crc32,x-amz-checksum-sha1"}) {
    INFO(trailer);
    const auto announced = ParseContentChecksum(Parse("PUT", "/b/k", {{"x-amz-trailer", trailer}}));
    CHECK(ErrorCodeOf(announced.status()) == ErrorCode::kInvalidRequest);
  }
  ContentChecksum crc;
  crc.algorithm = object::ChecksumAlgorithm::kCrc32;
  const auto more = ClaimsOf(crc, {{"x-amz-checksum-crc32", "AAAAAA=="}, {"x-amz-meta-a", "b"}});
  CHECK(ErrorCodeOf(more.status()) == ErrorCode::kMalformedTrailer);
}

TEST_CASE("conditions") {
  const object::Conditions conditions =
      ParseConditions(Parse("GET", "/b/k",
                            {{"if-match", "\"a\", W/\"b\",c"},
                             {"if-none-match", "*"},
                             {"if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"},
                             {"if-unmodified-since", "whenever"}}),
                      "");
  CHECK(conditions.if_match == std::vector<std::string>{"a", "b", "c"});
  CHECK(conditions.if_none_match == std::vector<std::string>{"*"});
  CHECK(conditions.if_modified_since_ns == 784111777'999'999'999ull);
  CHECK_FALSE(conditions.if_unmodified_since_ns.has_value());
}

TEST_CASE("listing parameters and tokens") {
  CHECK(*ParseMaxItems(Parse("GET", "/b"), "max-keys") == 1000);
  CHECK(*ParseMaxItems(Parse("GET", "/b?max-keys=0"), "max-keys") == 0);
  CHECK(*ParseMaxItems(Parse("GET", "/b?max-keys=5000"), "max-keys") == 1000);
  for (std::string_view target : {"/b?max-keys=-1", "/b?max-keys=a", "/b?max-keys=2147483648"}) {
    INFO(target);
    CHECK_FALSE(ParseMaxItems(Parse("GET", target), "max-keys").ok());
  }
  CHECK(*ParseEncodingType(Parse("GET", "/b?encoding-type=url")));
  CHECK_FALSE(ParseEncodingType(Parse("GET", "/b?encoding-type=xml")).ok());

  for (std::string_view key : {"", "a", "a/\xC3\xA4\n"}) {
    CHECK(DecodeContinuationToken(EncodeContinuationToken(key)) == key);
  }
  for (std::string_view token : {"", "abc", "AAAAAAAA", "%%%"}) {
    INFO(token);
    CHECK_FALSE(DecodeContinuationToken(token).has_value());
  }
}

TEST_CASE("a marker inside of a common prefix passes through XML") {
  for (const std::string& marker : std::vector<std::string>{"", "a", "a/\xC3\xA4"}) {
    CHECK(EncodeMarker(marker) == marker);
    CHECK(DecodeMarker(marker) == marker);
  }
  const std::string inside = "a/k\xFF";
  const std::string text = EncodeMarker(inside);
  CHECK(text != inside);
  CHECK(DecodeMarker(text) == inside);
  // What only looks like one is a key as any other.
  CHECK(DecodeMarker(text + "x") == text + "x");
}

TEST_CASE("header lines of one name become one") {
  const Request request = Parse("GET", "/b/k",
                                {{"x-a", "1"},
                                 {"x-b", "2"},
                                 {"x-a", "3"},
                                 {"range", "bytes=0-1"},
                                 {"range", "bytes=0-1"},
                                 {"x-c", "\xE4"},
                                 {"x-a", ""}});
  REQUIRE(request.head.headers.size() == 4);
  CHECK(request.Header("x-a") == "1,3,");
  CHECK(request.Header("x-b") == "2");
  CHECK(request.Header("range") == "bytes=0-1");
  CHECK(request.Header("x-c") == "\xC3\xA4");
  HttpHead head;
  head.target = "/b/k";
  head.headers = {{"x-amz-copy-source", "/b/k"}, {"x-amz-copy-source", "/c/k"}};
  CHECK(ErrorCodeOf(ParseRequest(std::move(head), {}).status()) == ErrorCode::kInvalidArgument);
}

TEST_CASE("errors of the store have their names in S3") {
  CHECK(ErrorCodeOf(object::MakeError(object::Reason::kNoSuchKey, "x")) == ErrorCode::kNoSuchKey);
  CHECK(InfoOf(ErrorCode::kNoSuchKey).name == "NoSuchKey");
  CHECK(InfoOf(ErrorCode::kNoSuchKey).http_status == 404);
  CHECK(ErrorCodeOf(absl::AbortedError("x")) == ErrorCode::kServiceUnavailable);
  CHECK(ErrorCodeOf(absl::ResourceExhaustedError("x")) == ErrorCode::kSlowDown);
  CHECK(ErrorCodeOf(object::MakeError(object::Reason::kStorageFull, "x")) ==
        ErrorCode::kStorageFull);
  // What went wrong inside stays inside.
  const absl::Status inside = absl::InternalError("segment 7 of /var/lib/x");
  CHECK(ErrorCodeOf(inside) == ErrorCode::kInternalError);
  CHECK(ClientMessageOf(inside).find("segment") == std::string::npos);
}

}  // namespace
}  // namespace strata::s3
