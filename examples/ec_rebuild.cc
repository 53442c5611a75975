// SPDX-License-Identifier: Apache-2.0
//
// Spreads data over six shards, loses two of them, brings them back; then changes some bytes
// without reading the other shards, and lets an engine do the encoding.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "strata/ec/code.h"
#include "strata/ec/engine.h"

namespace {

using strata::ec::Bytes;
using strata::ec::ConstBytes;

constexpr size_t kShardBytes = 100000;

absl::Status Run() {
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<strata::ec::Code> code,
                          strata::ec::CreateReedSolomon({.data_shards = 4, .parity_shards = 2}));
  std::vector<std::vector<std::byte>> memory(6, std::vector<std::byte>(kShardBytes));
  for (size_t i = 0; i < 4; ++i) strata::Random(i).Fill(memory[i]);
  const std::vector<ConstBytes> data(memory.begin(), memory.begin() + 4);
  const std::vector<Bytes> parity(memory.begin() + 4, memory.end());
  const std::vector<Bytes> all(memory.begin(), memory.end());
  STRATA_RETURN_IF_ERROR(code->Encode(data, parity));
  const auto before = memory;

  // Shards 1 and 4 are lost.
  for (const size_t lost : {1, 4}) std::fill(all[lost].begin(), all[lost].end(), std::byte{0});
  STRATA_RETURN_IF_ERROR(code->Reconstruct(all, code->AllShards().reset(1).reset(4)));
  if (memory != before) return absl::DataLossError("other bytes came back");
  std::printf("%s: shards 1 and 4 are back\n", code->name().c_str());

  // Ten bytes of shard 2 change: the parity follows, over those ten bytes alone.
  const Bytes changed = Bytes(all[2]).subspan(5000, 10);
  std::fill(changed.begin(), changed.end(), std::byte{7});
  const std::vector<Bytes> parity_range = {parity[0].subspan(5000, 10),
                                           parity[1].subspan(5000, 10)};
  STRATA_RETURN_IF_ERROR(
      code->Update(2, ConstBytes(before[2]).subspan(5000, 10), changed, parity_range));
  const std::vector<ConstBytes> const_parity(parity.begin(), parity.end());
  STRATA_RETURN_IF_ERROR(code->Verify(data, const_parity));
  std::printf("ten bytes changed, the parity fits\n");

  // The same encoding by a worker thread, while this one could do something else.
  const std::unique_ptr<strata::ec::Engine> engine = strata::ec::CreatePoolEngine({});
  strata::ec::Job job;
  job.code = code.get();
  job.data = data;
  job.parity = parity;
  job.done = [](strata::ec::Job* ended) {
    std::printf("the engine says: %s\n", ended->status.ToString().c_str());
  };
  STRATA_RETURN_IF_ERROR(engine->Submit(&job));
  while (engine->in_flight() > 0) engine->Poll(1);
  return job.status;
}

}  // namespace

int main() {
  const absl::Status status = Run();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
