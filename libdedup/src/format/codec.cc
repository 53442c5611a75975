// SPDX-License-Identifier: Apache-2.0
#include "format/codec.h"

#include <isa-l/igzip_lib.h>
#include <lz4.h>
#include <zstd.h>

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "strata/base/mutex.h"

namespace strata::dedup {
namespace {

struct FreeCompressor {
  void operator()(ZSTD_CCtx* state) const { ZSTD_freeCCtx(state); }
};
struct FreeDecompressor {
  void operator()(ZSTD_DCtx* state) const { ZSTD_freeDCtx(state); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, FreeCompressor>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, FreeDecompressor>;

// Most idle states kept of each kind: one takes about a megabyte.
constexpr size_t kMaxIdle = 4;

// Every so often a sample tells whether the data can shrink.
constexpr size_t kProbeSampleBytes = 4u << 10;
constexpr size_t kProbeStepBytes = 32u << 10;

constexpr int kMinHardLevel = 9;

template <typename State>
class IdleStates {
 public:
  State Take() {
    MutexLock lock(&mutex_);
    if (states_.empty()) return nullptr;
    State state = std::move(states_.back());
    states_.pop_back();
    return state;
  }

  void Return(State state) {
    MutexLock lock(&mutex_);
    if (states_.size() < kMaxIdle) states_.push_back(std::move(state));
  }

 private:
  Mutex mutex_;
  std::vector<State> states_ ABSL_GUARDED_BY(mutex_);
};

// Sizes of igzip's tables, by level.
constexpr std::array<uint32_t, 4> kIgzipTableBytes = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT,
                                                      ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};

struct Igzip {
  isal_zstream stream;
  std::vector<uint8_t> table;
};

uint8_t* AsIgzip(std::span<const std::byte> bytes) {
  return reinterpret_cast<uint8_t*>(const_cast<std::byte*>(bytes.data()));
}

// No byte value is much more frequent than another: at most 5 % for an entropy coder to gain.
bool LooksEven(std::span<const std::byte> sample) {
  std::array<uint32_t, 256> counts{};
  for (const std::byte byte : sample) ++counts[static_cast<uint8_t>(byte)];
  uint64_t sum = 0;
  for (const uint64_t count : counts) sum += count * count;
  // Of random bytes it is n^2 / 256 + n. 2^-0.4 of that is 7.6 bits to the byte.
  const uint64_t n = sample.size();
  return sum <= (n * n / 256 + n) * 13 / 10;
}

bool HasMatches(std::span<const std::byte> sample) {
  std::array<char, kProbeSampleBytes> out;
  const int most = static_cast<int>(sample.size() - sample.size() / 32);
  return LZ4_compress_default(reinterpret_cast<const char*>(sample.data()), out.data(),
                              static_cast<int>(sample.size()), most) > 0;
}

class CodecWithIdleStates final : public Codec {
 public:
  size_t Compress(Compression method, int level, std::span<const std::byte> raw,
                  std::span<std::byte> out) override {
    if (method == Compression::kNone || LooksIncompressible(raw)) return 0;
    switch (method) {
      case Compression::kNone:
        return 0;
      case Compression::kLz4: {
        const int size = LZ4_compress_default(
            reinterpret_cast<const char*>(raw.data()), reinterpret_cast<char*>(out.data()),
            static_cast<int>(raw.size()), static_cast<int>(out.size()));
        return size > 0 ? static_cast<size_t>(size) : 0;
      }
      case Compression::kZstd: {
        Compressor state = compressors_.Take();
        if (state == nullptr) state.reset(ZSTD_createCCtx());
        const size_t size =
            ZSTD_compressCCtx(state.get(), out.data(), out.size(), raw.data(), raw.size(), level);
        compressors_.Return(std::move(state));
        return ZSTD_isError(size) ? 0 : size;
      }
      case Compression::kGzip:
        return Deflate(level, raw, out);
    }
    return 0;
  }

  absl::Status Decompress(Compression method, std::span<const std::byte> stored,
                          std::span<std::byte> raw) override {
    switch (method) {
      case Compression::kNone:
        if (stored.size() != raw.size())
          return SizeDiffers("uncompressed data", stored.size(), raw);
        if (!raw.empty()) std::memcpy(raw.data(), stored.data(), raw.size());
        return absl::OkStatus();
      case Compression::kLz4: {
        const int size = LZ4_decompress_safe(
            reinterpret_cast<const char*>(stored.data()), reinterpret_cast<char*>(raw.data()),
            static_cast<int>(stored.size()), static_cast<int>(raw.size()));
        if (size < 0) return absl::DataLossError("lz4: the data is not lz4's");
        if (static_cast<size_t>(size) != raw.size()) return SizeDiffers("lz4", size, raw);
        return absl::OkStatus();
      }
      case Compression::kZstd: {
        Decompressor state = decompressors_.Take();
        if (state == nullptr) state.reset(ZSTD_createDCtx());
        const size_t size =
            ZSTD_decompressDCtx(state.get(), raw.data(), raw.size(), stored.data(), stored.size());
        decompressors_.Return(std::move(state));
        if (ZSTD_isError(size)) {
          return absl::DataLossError(absl::StrFormat("zstd: %s", ZSTD_getErrorName(size)));
        }
        if (size != raw.size()) return SizeDiffers("zstd", size, raw);
        return absl::OkStatus();
      }
      case Compression::kGzip:
        return Inflate(stored, raw);
    }
    return absl::UnimplementedError(
        absl::StrFormat("compression method %d is not known", static_cast<int>(method)));
  }

 private:
  size_t Deflate(int level, std::span<const std::byte> raw, std::span<std::byte> out) {
    std::unique_ptr<Igzip> state = igzips_.Take();
    if (state == nullptr) state = std::make_unique<Igzip>();
    isal_zstream& stream = state->stream;
    isal_deflate_stateless_init(&stream);
    stream.level = static_cast<uint32_t>(level);
    state->table.resize(kIgzipTableBytes[stream.level]);
    stream.level_buf = state->table.data();
    stream.level_buf_size = static_cast<uint32_t>(state->table.size());
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    stream.flush = NO_FLUSH;
    stream.next_in = AsIgzip(raw);
    stream.avail_in = static_cast<uint32_t>(raw.size());
    stream.next_out = AsIgzip(out);
    stream.avail_out = static_cast<uint32_t>(out.size());
    const bool fits = isal_deflate_stateless(&stream) == COMP_OK;
    const size_t size = stream.total_out;
    igzips_.Return(std::move(state));
    return fits ? size : 0;
  }

  static absl::Status Inflate(std::span<const std::byte> stored, std::span<std::byte> raw) {
    const auto state = std::make_unique<inflate_state>();
    isal_inflate_init(state.get());
    state->crc_flag = ISAL_GZIP;
    state->next_in = AsIgzip(stored);
    state->avail_in = static_cast<uint32_t>(stored.size());
    state->next_out = AsIgzip(raw);
    state->avail_out = static_cast<uint32_t>(raw.size());
    const int result = isal_inflate_stateless(state.get());
    if (result != ISAL_DECOMP_OK) {
      return absl::DataLossError(absl::StrFormat("gzip: igzip says %d", result));
    }
    if (state->total_out != raw.size()) return SizeDiffers("gzip", state->total_out, raw);
    return absl::OkStatus();
  }

  static absl::Status SizeDiffers(const char* what, size_t got, std::span<std::byte> wanted) {
    return absl::DataLossError(
        absl::StrFormat("%s: %d bytes where %d belong", what, got, wanted.size()));
  }

  IdleStates<Compressor> compressors_;
  IdleStates<std::unique_ptr<Igzip>> igzips_;
  IdleStates<Decompressor> decompressors_;
};

}  // namespace

bool LooksIncompressible(std::span<const std::byte> raw) {
  if (raw.size() < kMinProbedBytes) return false;
  for (size_t at = 0; at + kProbeSampleBytes <= raw.size(); at += kProbeStepBytes) {
    const std::span<const std::byte> sample = raw.subspan(at, kProbeSampleBytes);
    if (!LooksEven(sample) || HasMatches(sample)) return false;
  }
  return true;
}

bool CompressesHard(const CompressionSettings& settings) {
  return settings.method == Compression::kZstd && settings.level >= kMinHardLevel;
}

std::unique_ptr<Codec> CreateCodec() { return std::make_unique<CodecWithIdleStates>(); }

absl::Status CheckCompression(const CompressionSettings& settings) {
  if (settings.region_bytes < 16u << 10 || settings.region_bytes > 4u << 20) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "dedup: region_bytes is %d, must be from 16 KiB to 4 MiB", settings.region_bytes));
  }
  if (settings.method > Compression::kGzip) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: compression %d is not known", static_cast<int>(settings.method)));
  }
  const int level = settings.level;
  if (settings.method == Compression::kZstd && (level < -7 || level > 19)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: compression_level is %d, must be -7..19 for zstd", level));
  }
  if (settings.method == Compression::kGzip && (level < 0 || level > 3)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("dedup: compression_level is %d, must be 0..3 for gzip", level));
  }
  return absl::OkStatus();
}

CompressionSettings Canonical(CompressionSettings settings) {
  if (settings.method == Compression::kNone || settings.method == Compression::kLz4) {
    settings.level = 0;
  }
  return settings;
}

}  // namespace strata::dedup
