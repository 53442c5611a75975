// SPDX-License-Identifier: Apache-2.0
#include "chunking/key.h"

#include "strata/base/endian.h"

namespace strata::dedup {

bool TakesKey(ChunkAlgorithm algorithm) {
  switch (algorithm) {
    case ChunkAlgorithm::kFastCdc2020:
    case ChunkAlgorithm::kFastCdc2016:
    case ChunkAlgorithm::kGear:
    case ChunkAlgorithm::kRabin:
    case ChunkAlgorithm::kLinCdc:
      return true;
    case ChunkAlgorithm::kFixed:
    case ChunkAlgorithm::kAe:
    case ChunkAlgorithm::kRam:
    case ChunkAlgorithm::kSeqCdc:
      return false;
  }
  return false;
}

KeyStream::KeyStream(const ChunkerKey& key, std::string_view label)
    : input_(key.begin(), key.end()), used_(digest_.bytes.size()) {
  for (const char c : label) input_.push_back(static_cast<std::byte>(c));
  input_.resize(input_.size() + sizeof(counter_));
}

uint64_t KeyStream::Next64() {
  if (used_ == digest_.bytes.size()) {
    StoreLe64(input_.data() + input_.size() - sizeof(counter_), counter_);
    ++counter_;
    digest_ = FingerprintOf(input_);
    used_ = 0;
  }
  const uint64_t value = LoadLe64(digest_.bytes.data() + used_);
  used_ += sizeof(value);
  return value;
}

}  // namespace strata::dedup
