// SPDX-License-Identifier: Apache-2.0
#include "strata/object/checksum.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_format.h"
#include "content/crc.h"
#include "content/openssl_digest.h"
#include "records/digests.h"
#include "strata/base/check.h"
#include "strata/base/endian.h"
#include "strata/object/error.h"

namespace strata::object {
namespace {

struct AlgorithmRow {
  ChecksumAlgorithm algorithm;
  std::string_view name;
  size_t value_bytes;
};

constexpr std::array kAlgorithms = {
    AlgorithmRow{ChecksumAlgorithm::kCrc32, "CRC32", 4},
    AlgorithmRow{ChecksumAlgorithm::kCrc32c, "CRC32C", 4},
    AlgorithmRow{ChecksumAlgorithm::kCrc64Nvme, "CRC64NVME", 8},
    AlgorithmRow{ChecksumAlgorithm::kSha1, "SHA1", 20},
    AlgorithmRow{ChecksumAlgorithm::kSha256, "SHA256", 32},
    AlgorithmRow{ChecksumAlgorithm::kMd5, "MD5", 16},
};

const AlgorithmRow& RowOf(ChecksumAlgorithm algorithm) {
  const auto row = std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                                [&](const AlgorithmRow& r) { return r.algorithm == algorithm; });
  STRATA_CHECK(row != kAlgorithms.end(), "unknown checksum algorithm");
  return *row;
}

bool EqualIgnoringCase(std::string_view a, std::string_view b) {
  const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return upper(x) == upper(y); });
}

class CrcDigest final : public Digest {
 public:
  explicit CrcDigest(ChecksumAlgorithm algorithm) : algorithm_(algorithm) {}
  void Update(std::span<const std::byte> data) override {
    crc_ = ExtendCrc(algorithm_, crc_, data);
  }
  std::string Finish() override { return CrcToRaw(algorithm_, crc_); }

 private:
  const ChecksumAlgorithm algorithm_;
  uint64_t crc_ = 0;
};

}  // namespace

absl::StatusOr<ChecksumAlgorithm> ParseChecksumAlgorithm(std::string_view name) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (EqualIgnoringCase(row.name, name)) return row.algorithm;
  }
  return MakeError(
      Reason::kInvalidArgument,
      absl::StrFormat("unknown checksum algorithm '%s' (CRC32, CRC32C, CRC64NVME, SHA1, SHA256, "
                      "MD5)",
                      name));
}

std::string_view ChecksumAlgorithmName(ChecksumAlgorithm algorithm) {
  return RowOf(algorithm).name;
}

std::unique_ptr<Digest> Digest::Create(ChecksumAlgorithm algorithm) {
  if (IsCrc(algorithm)) return std::make_unique<CrcDigest>(algorithm);
  return CreateOpenSslDigest(algorithm);
}

size_t ChecksumBytes(ChecksumAlgorithm algorithm) { return RowOf(algorithm).value_bytes; }

std::string DigestOf(ChecksumAlgorithm algorithm, std::string_view data) {
  const std::unique_ptr<Digest> digest = Digest::Create(algorithm);
  digest->Update(AsBytes(data));
  return digest->Finish();
}

std::string CrcToRaw(ChecksumAlgorithm algorithm, uint64_t crc) {
  std::array<std::byte, 8> bytes;
  StoreBe64(bytes.data(), crc);
  const size_t size = CrcBytes(algorithm);
  return std::string(reinterpret_cast<const char*>(bytes.data()) + (8 - size), size);
}

uint64_t CrcFromRaw(std::string_view raw) {
  uint64_t crc = 0;
  for (const char byte : raw) crc = crc << 8 | static_cast<unsigned char>(byte);
  return crc;
}

Checksum CompositeChecksum(ChecksumAlgorithm algorithm, const std::vector<PartDigest>& parts) {
  const std::unique_ptr<Digest> digest = Digest::Create(algorithm);
  for (const PartDigest& part : parts) digest->Update(AsBytes(part.value));
  return {algorithm, digest->Finish(), static_cast<uint32_t>(parts.size())};
}

Checksum FullObjectChecksum(ChecksumAlgorithm algorithm, const std::vector<PartDigest>& parts) {
  uint64_t crc = 0;
  for (const PartDigest& part : parts) {
    crc = CombineCrc(algorithm, crc, CrcFromRaw(part.value), part.size_bytes);
  }
  return {algorithm, CrcToRaw(algorithm, crc), 0};
}

}  // namespace strata::object
