// SPDX-License-Identifier: Apache-2.0
#include "codec.h"

#include <lz4.h>
#include <zstd.h>

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
constexpr size_t kMostIdle = 4;

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
    if (states_.size() < kMostIdle) states_.push_back(std::move(state));
  }

 private:
  Mutex mutex_;
  std::vector<State> states_ ABSL_GUARDED_BY(mutex_);
};

class CodecWithIdleStates final : public Codec {
 public:
  size_t Compress(Compression method, int level, std::span<const std::byte> raw,
                  std::span<std::byte> out) override {
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
    }
    return absl::UnimplementedError(
        absl::StrFormat("compression method %d is not known", static_cast<int>(method)));
  }

 private:
  static absl::Status SizeDiffers(const char* what, size_t got, std::span<std::byte> wanted) {
    return absl::DataLossError(
        absl::StrFormat("%s: %d bytes where %d belong", what, got, wanted.size()));
  }

  IdleStates<Compressor> compressors_;
  IdleStates<Decompressor> decompressors_;
};

}  // namespace

std::unique_ptr<Codec> CreateCodec() { return std::make_unique<CodecWithIdleStates>(); }

}  // namespace strata::dedup
