// SPDX-License-Identifier: Apache-2.0
#include "strata/ec/engine.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace strata::ec {

absl::Status RunJob(const Job& job) {
  switch (job.kind) {
    case JobKind::kEncode:
      return job.code->Encode(job.data, job.parity);
    case JobKind::kVerify: {
      const std::vector<ConstBytes> parity(job.parity.begin(), job.parity.end());
      return job.code->Verify(job.data, parity);
    }
    case JobKind::kReconstruct:
      return job.code->Reconstruct(job.shards, job.present);
  }
  return absl::InvalidArgumentError("a job of no kind");
}

uint64_t JobBytes(const Job& job) {
  uint64_t bytes = 0;
  for (const ConstBytes shard : job.data) bytes += shard.size();
  for (const Bytes shard : job.parity) bytes += shard.size();
  for (const Bytes shard : job.shards) bytes += shard.size();
  return bytes;
}

absl::Status Engine::Submit(Job* job) {
  if (job == nullptr || job->code == nullptr || job->done == nullptr) {
    return absl::InvalidArgumentError("a job needs a code and a callback");
  }
  if (in_flight() >= max_in_flight()) {
    CountRefusal();
    return absl::ResourceExhaustedError(
        absl::StrCat(max_in_flight(), " jobs are in flight, poll first"));
  }
  return DoSubmit(job);
}

}  // namespace strata::ec
