// SPDX-License-Identifier: Apache-2.0
//
// The examples of the Amazon S3 API Reference, chapter "Authenticating Requests (AWS Signature
// Version 4)": its keys, requests and signatures.
#include "auth/sigv4.h"

#include <catch2/catch.hpp>

#include "http/encoding.h"
#include "http/errors.h"
#include "http/hash.h"
#include "strata/base/hex.h"

namespace strata::s3 {
namespace {

constexpr std::string_view kAccessKey = "AKIAIOSFODNN7EXAMPLE";
constexpr std::string_view kSecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kTimestamp = "20130524T000000Z";
constexpr std::string_view kHost = "examplebucket.s3.amazonaws.com";
constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const CredentialScope kScope = {"20130524", "us-east-1", "s3"};

HttpHead Head(std::string_view method, std::vector<HttpHeader> headers) {
  HttpHead head;
  head.method = method;
  head.headers = std::move(headers);
  return head;
}

std::string SignatureOf(const HttpHead& head, std::string_view path, const QueryParameters& query,
                        const std::vector<std::string>& signed_headers,
                        std::string_view payload_hash) {
  const std::string canonical = CanonicalRequest(head, path, query, signed_headers, payload_hash);
  INFO("canonical request:\n" << canonical);
  return Sign(DeriveSigningKey(kSecretKey, kScope), StringToSign(kTimestamp, kScope, canonical));
}

TEST_CASE("the reference's GET of an object with a range") {
  const HttpHead head = Head("GET", {{"host", std::string(kHost)},
                                     {"range", "bytes=0-9"},
                                     {"x-amz-content-sha256", std::string(kEmptySha256)},
                                     {"x-amz-date", std::string(kTimestamp)}});
  CHECK(SignatureOf(head, "/test.txt", {}, {"host", "range", "x-amz-content-sha256", "x-amz-date"},
                    kEmptySha256) ==
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_CASE("the reference's PUT of an object, whose key has a character to encode") {
  const std::string payload_hash = ToHex(Sha256Of("Welcome to Amazon S3."));
  const HttpHead head = Head("PUT", {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                     {"host", std::string(kHost)},
                                     {"x-amz-content-sha256", payload_hash},
                                     {"x-amz-date", std::string(kTimestamp)},
                                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}});
  CHECK(SignatureOf(head, "/test$file.text", {},
                    {"date", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-storage-class"},
                    payload_hash) ==
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_CASE("the reference's GET of a configuration and of a listing") {
  const HttpHead head = Head("GET", {{"host", std::string(kHost)},
                                     {"x-amz-content-sha256", std::string(kEmptySha256)},
                                     {"x-amz-date", std::string(kTimestamp)}});
  const std::vector<std::string> names = {"host", "x-amz-content-sha256", "x-amz-date"};
  CHECK(SignatureOf(head, "/", {{"lifecycle", ""}}, names, kEmptySha256) ==
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  CHECK(SignatureOf(head, "/", {{"prefix", "J"}, {"max-keys", "2"}}, names, kEmptySha256) ==
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST_CASE("the reference's presigned URL") {
  const QueryParameters query = {
      {"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
      {"X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"},
      {"X-Amz-Date", "20130524T000000Z"},
      {"X-Amz-Expires", "86400"},
      {"X-Amz-SignedHeaders", "host"},
      {"X-Amz-Signature", "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"}};
  const absl::StatusOr<SignatureClaim> claim = ParsePresignedQuery(query);
  REQUIRE(claim.ok());
  CHECK(claim->access_key == kAccessKey);
  CHECK(claim->expires_s == 86400);
  CHECK(claim->scope.Text() == "20130524/us-east-1/s3/aws4_request");
  const HttpHead head = Head("GET", {{"host", std::string(kHost)}});
  CHECK(SignatureOf(head, "/test.txt", query, claim->signed_headers, "UNSIGNED-PAYLOAD") ==
        claim->signature);
}

TEST_CASE("the canonical form of headers joins, trims and squeezes") {
  const HttpHead head = Head("GET", {{"host", "a"},
                                     {"x-amz-meta-a", "  two   words "},
                                     {"x-amz-meta-b", "1"},
                                     {"x-amz-meta-b", "2"}});
  const std::string canonical = CanonicalRequest(
      head, "/", {}, {"host", "x-amz-meta-a", "x-amz-meta-b", "x-amz-meta-c"}, "H");
  CHECK(canonical ==
        "GET\n/\n\nhost:a\nx-amz-meta-a:two words\nx-amz-meta-b:1,2\nx-amz-meta-c:\n\n"
        "host;x-amz-meta-a;x-amz-meta-b;x-amz-meta-c\nH");
}

TEST_CASE("the canonical query is sorted by its encoded names and values") {
  const HttpHead head = Head("GET", {});
  const std::string canonical = CanonicalRequest(
      head, "/a b/c+d", {{"b", "2"}, {"a b", "x/y"}, {"b", "1"}, {"\xC3\xA4", ""}}, {}, "H");
  CHECK(canonical == "GET\n/a%20b/c%2Bd\n%C3%A4=&a%20b=x%2Fy&b=1&b=2\n\n\nH");
}

TEST_CASE("an Authorization header is taken apart") {
  const absl::StatusOr<SignatureClaim> claim = ParseAuthorizationHeader(
      "AWS4-HMAC-SHA256 Credential=KEY/with/slashes/20130524/eu-central-1/s3/aws4_request,"
      "SignedHeaders=host;range, "
      "Signature=F0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  REQUIRE(claim.ok());
  CHECK(claim->access_key == "KEY/with/slashes");
  CHECK(claim->scope.region == "eu-central-1");
  CHECK(claim->signed_headers == std::vector<std::string>{"host", "range"});
  CHECK(claim->signature == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  CHECK(claim->expires_s == 0);
}

TEST_CASE("a malformed Authorization header says what is wrong with it") {
  const std::string signature(64, 'a');
  const std::string scope = "K/20130524/us-east-1/s3/aws4_request";
  const std::vector<std::string> malformed = {
      "",
      "AWS4-HMAC-SHA256",
      "AWS4-HMAC-SHA1 Credential=" + scope + ",SignedHeaders=host,Signature=" + signature,
      "AWS4-HMAC-SHA256 Credential=" + scope + ",SignedHeaders=host",
      "AWS4-HMAC-SHA256 Credential=" + scope + ",SignedHeaders=range,Signature=" + signature,
      "AWS4-HMAC-SHA256 Credential=" + scope + ",SignedHeaders=host;,Signature=" + signature,
      "AWS4-HMAC-SHA256 Credential=" + scope + ",SignedHeaders=host,Signature=abc",
      "AWS4-HMAC-SHA256 Credential=" + scope +
          ",SignedHeaders=host,Signature=" + std::string(64, 'z'),
      "AWS4-HMAC-SHA256 Credential=K/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=" +
          signature,
      "AWS4-HMAC-SHA256 Credential=/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,"
      "Signature=" +
          signature,
      "AWS4-HMAC-SHA256 Credential=K/20130524/us-east-1/ec2/aws4_request,SignedHeaders=host,"
      "Signature=" +
          signature,
      "AWS4-HMAC-SHA256 Credential=" + scope + ",Credential=" + scope +
          ",SignedHeaders=host,Signature=" + signature,
      "AWS4-HMAC-SHA256 Credential=" + scope + ",SignedHeaders=host,Signature=" + signature +
          ",Extra=1",
  };
  for (const std::string& header : malformed) {
    INFO(header);
    const absl::StatusOr<SignatureClaim> claim = ParseAuthorizationHeader(header);
    REQUIRE_FALSE(claim.ok());
    CHECK(ErrorCodeOf(claim.status()) == ErrorCode::kAuthorizationHeaderMalformed);
    CHECK_FALSE(ClientMessageOf(claim.status()).empty());
  }
}

TEST_CASE("a presigned URL lives between a second and a week") {
  QueryParameters query = {{"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
                           {"X-Amz-Credential", "K/20130524/us-east-1/s3/aws4_request"},
                           {"X-Amz-Date", "20130524T000000Z"},
                           {"X-Amz-Expires", ""},
                           {"X-Amz-SignedHeaders", "host"},
                           {"X-Amz-Signature", std::string(64, 'a')}};
  for (const auto& [expires, good] :
       std::vector<std::pair<std::string, bool>>{{"1", true},
                                                 {"604800", true},
                                                 {"0", false},
                                                 {"604801", false},
                                                 {"-1", false},
                                                 {"", false},
                                                 {"1h", false},
                                                 {"99999999999999999999", false}}) {
    INFO(expires);
    query[3].second = expires;
    const absl::StatusOr<SignatureClaim> claim = ParsePresignedQuery(query);
    CHECK(claim.ok() == good);
    if (!claim.ok()) {
      CHECK(ErrorCodeOf(claim.status()) == ErrorCode::kAuthorizationQueryParametersError);
    }
  }
}

}  // namespace
}  // namespace strata::s3
