// SPDX-License-Identifier: Apache-2.0
//
// Keeps two versions of some data in a deduplicating store on disk, reads the older one back,
// expires it, and collects the garbage.
//
//   dedup_store [FOLDER]     [.]
#include <cstdio>
#include <string>
#include <vector>

#include "strata/base/random.h"
#include "strata/base/status_macros.h"
#include "strata/block/devices.h"
#include "strata/dedup/store.h"
#include "strata/kv/engines.h"

namespace {

absl::StatusOr<strata::dedup::StreamInfo> Backup(strata::dedup::Store& store,
                                                 std::span<const std::byte> data) {
  const std::unique_ptr<strata::dedup::Writer> writer = store.NewWriter();
  STRATA_RETURN_IF_ERROR(writer->Write(data));
  STRATA_ASSIGN_OR_RETURN(const strata::dedup::StreamInfo info, writer->Finish());
  std::printf("stored %s: %llu bytes, %llu of them new, %llu on the device\n",
              info.id.ToHex().c_str(), static_cast<unsigned long long>(info.size_bytes),
              static_cast<unsigned long long>(info.new_chunk_bytes),
              static_cast<unsigned long long>(info.new_stored_bytes));
  return info;
}

absl::Status Run(const std::string& folder) {
  STRATA_ASSIGN_OR_RETURN(
      const std::unique_ptr<strata::block::Device> device,
      strata::block::OpenFileDevice(
          {.path = folder + "/containers", .size_bytes = 1ull << 30, .create = true, .log = {}}));
  STRATA_ASSIGN_OR_RETURN(
      const std::unique_ptr<strata::kv::Store> kv,
      strata::kv::OpenRocksDbStore({.directory = folder + "/index", .log = {}}));
  strata::dedup::StoreOptions options;
  options.device = device.get();
  options.kv = kv.get();
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<strata::dedup::Store> store,
                          strata::dedup::Store::Open(options));

  std::vector<std::byte> data(20u << 20);
  strata::Random(1).Fill(data);
  STRATA_ASSIGN_OR_RETURN(const strata::dedup::StreamInfo monday, Backup(*store, data));
  const std::vector<std::byte> as_of_monday = data;
  data.insert(data.begin() + 5000000, 1000, std::byte{42});  // Everything behind it moves.
  STRATA_ASSIGN_OR_RETURN(const strata::dedup::StreamInfo tuesday, Backup(*store, data));
  if (tuesday.new_chunk_bytes > 100000) return absl::InternalError("too much is new");

  {
    STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<strata::dedup::Reader> reader,
                            store->OpenReader(monday.id));
    std::vector<std::byte> back(reader->info().size_bytes);
    STRATA_RETURN_IF_ERROR(reader->Read(0, back).status());
    if (back != as_of_monday) return absl::DataLossError("other bytes came back");
  }

  STRATA_RETURN_IF_ERROR(store->Delete(monday.id));
  STRATA_ASSIGN_OR_RETURN(const strata::dedup::GarbageReport garbage,
                          store->CollectGarbage({.progress = nullptr}));
  const strata::dedup::Stats stats = store->Stats();
  std::printf(
      "%llu containers examined, %llu freed; %llu bytes of streams take %llu on the device\n",
      static_cast<unsigned long long>(garbage.containers_examined),
      static_cast<unsigned long long>(garbage.containers_freed),
      static_cast<unsigned long long>(stats.logical_bytes),
      static_cast<unsigned long long>(stats.container_bytes));
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = Run(argc > 1 ? argv[1] : ".");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
