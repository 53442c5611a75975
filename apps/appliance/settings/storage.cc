// SPDX-License-Identifier: Apache-2.0
#include "appliance/settings/sections.h"

namespace strata::appliance {

std::vector<Setting> StorageSettings() {
  return {
      Text("storage", "device",
           "URI of the device that holds the containers, such as file:/dev/sdb; empty: the file "
           "containers in the data directory.",
           STRATA_FIELD(storage.device)),
      Size("storage", "max_size", 0, uint64_t{1} << 60,
           "Largest size of the file containers; 0: the size of its filesystem.",
           STRATA_FIELD(storage.max_size_bytes)),
      OneOf<dedup::Compression>("storage", "compression",
                                {{"zstd", dedup::Compression::kZstd},
                                 {"lz4", dedup::Compression::kLz4},
                                 {"gzip", dedup::Compression::kGzip},
                                 {"none", dedup::Compression::kNone}},
                                "Compression of new data: zstd, lz4, gzip or none.",
                                STRATA_FIELD(storage.store.compression)),
      Number("storage", "compression_level", -7, 19,
             "Compression level: -7 to 19 for zstd, 0 to 3 for gzip. Higher levels give smaller "
             "data and are slower.",
             STRATA_FIELD(storage.store.compression_level)),
      Flag("storage", "defer_compression",
           "Data is stored uncompressed, and the next garbage collection compresses it. Writing is "
           "faster; the data takes more room until then.",
           STRATA_FIELD(storage.store.defer_compression)),
      Size("storage", "region_size", 16u << 10, 4u << 20,
           "How much data is compressed together. Larger regions take less room on disk and make "
           "small reads slower.",
           STRATA_FIELD(storage.store.region_bytes)),
      OneOf<dedup::Mode>("storage", "mode",
                         {{"inline", dedup::Mode::kInline},
                          {"hybrid", dedup::Mode::kHybrid},
                          {"post-process", dedup::Mode::kPostProcess}},
                         "When duplicates are found: inline while writing; hybrid while writing as "
                         "far as the memory caches know, and post-process not while writing, both "
                         "the rest during garbage collection.",
                         STRATA_FIELD(storage.store.mode)),
      Number("storage", "worker_threads", 0, 64,
             "Threads that compress, decompress and fingerprint, in addition to the requests' own.",
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
           "Size of a container, a power of two. Fixed when the store is made.",
           STRATA_FIELD(storage.store.container_bytes)),
      OneOf<dedup::ChunkAlgorithm>("storage", "chunker",
                                   {{"lincdc", dedup::ChunkAlgorithm::kLinCdc},
                                    {"fastcdc2020", dedup::ChunkAlgorithm::kFastCdc2020},
                                    {"fixed", dedup::ChunkAlgorithm::kFixed}},
                                   "How data is cut into chunks: lincdc, fastcdc2020 or fixed. "
                                   "Fixed when the store is made.",
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
