// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> StorageSettings() {
  return {
      Text("storage", "device",
           "URI of the device that holds the containers, as file:/dev/sdb; empty: the file "
           "containers in the data directory.",
           STRATA_FIELD(storage.device)),
      Size("storage", "max_size", 0, uint64_t{1} << 60,
           "The most that the file containers may grow to; 0: its filesystem's size.",
           STRATA_FIELD(storage.max_size_bytes)),
      OneOf<dedup::Compression>("storage", "compression",
                                {{"zstd", dedup::Compression::kZstd},
                                 {"lz4", dedup::Compression::kLz4},
                                 {"gzip", dedup::Compression::kGzip},
                                 {"none", dedup::Compression::kNone}},
                                "zstd, lz4, gzip or none, for new data.",
                                STRATA_FIELD(storage.store.compression)),
      Number("storage", "compression_level", -7, 19,
             "For zstd -7 to 19, for gzip 0 to 3; higher is smaller and slower.",
             STRATA_FIELD(storage.store.compression_level)),
      Flag("storage", "defer_compression",
           "Data is stored as it comes and compressed by the next garbage collection: faster "
           "writing, for more room until then.",
           STRATA_FIELD(storage.store.defer_compression)),
      Size("storage", "region_size", 16u << 10, 4u << 20,
           "Data compressed together: larger is smaller on disk, and slower for small reads.",
           STRATA_FIELD(storage.store.region_bytes)),
      OneOf<dedup::Mode>(
          "storage", "mode",
          {{"inline", dedup::Mode::kInline},
           {"hybrid", dedup::Mode::kHybrid},
           {"post-process", dedup::Mode::kPostProcess}},
          "inline finds equal data as it comes; hybrid does where memory answers and "
          "post-process never, both leave the rest to garbage collection.",
          STRATA_FIELD(storage.store.mode)),
      Number("storage", "worker_threads", 0, 64,
             "Threads that compress, decompress and fingerprint beside those of the requests.",
             STRATA_FIELD(storage.store.worker_threads)),
      Text("storage", "encryption_key_file",
           "A file with the key, 32 bytes or 64 hexadecimal digits, that encrypts the containers; "
           "empty: no encryption. Fixed when the store is made.",
           STRATA_FIELD(storage.encryption_key_file)),
      Size("storage", "metadata_cache", 0, uint64_t{1} << 40,
           "Memory for fingerprints of recently seen containers.",
           STRATA_FIELD(storage.store.metadata_cache_bytes)),
      Size("storage", "data_cache", 0, uint64_t{1} << 40, "Memory for decompressed data.",
           STRATA_FIELD(storage.store.data_cache_bytes)),
      Size("storage", "kv_cache", 1u << 20, uint64_t{1} << 40, "Memory for metadata blocks.",
           STRATA_FIELD(storage.kv_cache_bytes)),
      Size("storage", "container_size", 1u << 20, 64u << 20,
           "A power of two. Fixed when the store is made.",
           STRATA_FIELD(storage.store.container_bytes)),
      OneOf<dedup::ChunkAlgorithm>("storage", "chunker",
                                   {{"lincdc", dedup::ChunkAlgorithm::kLinCdc},
                                    {"fastcdc2020", dedup::ChunkAlgorithm::kFastCdc2020},
                                    {"fixed", dedup::ChunkAlgorithm::kFixed}},
                                   "lincdc, fastcdc2020 or fixed. Fixed when the store is made.",
                                   STRATA_FIELD(storage.store.chunker.algorithm)),
      Size("storage", "chunk_min", 64, 1u << 20, "Smallest chunk. Fixed when the store is made.",
           STRATA_FIELD(storage.store.chunker.min_bytes)),
      Size("storage", "chunk_avg", 256, 4u << 20,
           "Average chunk, a power of two. Fixed when the store is made.",
           STRATA_FIELD(storage.store.chunker.avg_bytes)),
      Size("storage", "chunk_max", 1u << 10, 16u << 20,
           "Largest chunk. Fixed when the store is made.",
           STRATA_FIELD(storage.store.chunker.max_bytes)),
  };
}

}  // namespace strata::appliance
