// SPDX-License-Identifier: Apache-2.0
#include "command_line/erasure/erasure_commands.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "appliance/json.h"
#include "command_line/answers.h"
#include "command_line/erasure/shard_file_set.h"
#include "strata/base/crc32c.h"
#include "strata/base/errno_status.h"
#include "strata/base/random.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

absl::Status Report(const dedup::ProgressCallback& progress, const char* phase, uint64_t done,
                    uint64_t total) {
  if (!progress || progress({.phase = phase, .done = done, .total = total})) {
    return absl::OkStatus();
  }
  return absl::CancelledError("interrupted");
}

std::string BaseName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The units of a stripe, one behind the other: data, then parity.
class StripeBuffer {
 public:
  explicit StripeBuffer(const ec::ShardLayout& layout)
      : layout_(layout),
        shard_count_(static_cast<size_t>(layout.data_shards + layout.parity_shards)),
        bytes_(shard_count_ * (layout.stripe_count() > 0 ? layout.UnitBytes(0) : 0)) {}

  // Shards [begin, end) of the stripe.
  std::vector<ec::Bytes> Units(uint64_t stripe, int begin, int end) {
    const size_t unit = layout_.UnitBytes(stripe);
    std::vector<ec::Bytes> units;
    for (int i = begin; i < end; ++i) {
      units.push_back(ec::Bytes(bytes_).subspan(static_cast<size_t>(i) * unit, unit));
    }
    return units;
  }
  std::vector<ec::Bytes> All(uint64_t stripe) {
    return Units(stripe, 0, static_cast<int>(shard_count_));
  }
  std::vector<ec::ConstBytes> ConstUnits(uint64_t stripe, int begin, int end) {
    const std::vector<ec::Bytes> units = Units(stripe, begin, end);
    return {units.begin(), units.end()};
  }
  // What the stripe has of the file, and the zeros behind it.
  ec::Bytes FilePart(uint64_t stripe) {
    return ec::Bytes(bytes_).first(static_cast<size_t>(layout_.FileBytes(stripe)));
  }
  ec::Bytes Padding(uint64_t stripe) {
    const size_t data_bytes = static_cast<size_t>(layout_.data_shards) * layout_.UnitBytes(stripe);
    const auto part = static_cast<size_t>(layout_.FileBytes(stripe));
    return ec::Bytes(bytes_).subspan(part, data_bytes - part);
  }

 private:
  const ec::ShardLayout layout_;
  const size_t shard_count_;
  std::vector<std::byte> bytes_;
};

absl::StatusOr<Json> EncodeOne(const std::string& path, const ErasureRequest& request,
                               const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const FileHandle input, FileHandle::OpenToRead(path));
  ec::ShardHeader header;
  header.layout = request.layout;
  STRATA_ASSIGN_OR_RETURN(header.layout.file_bytes, input.SizeBytes());
  const ec::ShardLayout& layout = header.layout;
  STRATA_RETURN_IF_ERROR(ec::CheckLayout(layout));
  STRATA_RETURN_IF_ERROR(SecureRandomBytes(header.set_id));
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<ec::Code> code, ec::CreateCode(layout));
  const std::string prefix =
      request.output.empty() ? path : absl::StrCat(request.output, "/", BaseName(path));
  std::vector<std::unique_ptr<PartFile>> shards;
  std::vector<ec::ShardTrailer> trailers(static_cast<size_t>(code->total_shards()));
  for (int i = 0; i < code->total_shards(); ++i) {
    STRATA_ASSIGN_OR_RETURN(
        std::unique_ptr<PartFile> shard,
        PartFile::Create(absl::StrFormat("%s.ec.%03d", prefix, i), request.force));
    header.shard = i;
    STRATA_RETURN_IF_ERROR(shard->file().WriteAt(0, ec::EncodeShardHeader(header)));
    shards.push_back(std::move(shard));
  }
  StripeBuffer buffer(layout);
  uint32_t file_crc = 0;
  for (uint64_t stripe = 0; stripe < layout.stripe_count(); ++stripe) {
    STRATA_RETURN_IF_ERROR(
        Report(progress, "encoding", layout.FileOffset(stripe), layout.file_bytes));
    const ec::Bytes part = buffer.FilePart(stripe);
    STRATA_RETURN_IF_ERROR(input.ReadAt(layout.FileOffset(stripe), part));
    std::ranges::fill(buffer.Padding(stripe), std::byte{0});
    file_crc = ExtendCrc32c(file_crc, part);
    STRATA_RETURN_IF_ERROR(
        code->Encode(buffer.ConstUnits(stripe, 0, layout.data_shards),
                     buffer.Units(stripe, layout.data_shards, code->total_shards())));
    const std::vector<ec::Bytes> units = buffer.All(stripe);
    for (size_t i = 0; i < units.size(); ++i) {
      trailers[i].unit_crcs.push_back(Crc32c(units[i]));
      STRATA_RETURN_IF_ERROR(shards[i]->file().WriteAt(layout.UnitOffset(stripe), units[i]));
    }
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    trailers[i].file_crc = file_crc;
    STRATA_RETURN_IF_ERROR(shards[i]->file().WriteAt(ec::kShardHeaderBytes + layout.shard_bytes(),
                                                     ec::EncodeShardTrailer(trailers[i])));
  }
  Json names = Json::array();
  for (const std::unique_ptr<PartFile>& shard : shards) {
    STRATA_RETURN_IF_ERROR(shard->Commit());
    names.push_back(shard->path());
  }
  return Json{{"name", path},
              {"code", code->name()},
              {"file_bytes", layout.file_bytes},
              {"shard_bytes", layout.shard_file_bytes()},
              {"shards", std::move(names)}};
}

Json DamageOf(const ShardFileSet& set) {
  Json damaged = Json::array();
  for (size_t i = 0; i < set.shards().size(); ++i) {
    const ShardFileSet::Shard& shard = set.shards()[i];
    if (!shard.is_there || (shard.damage.empty() && shard.damaged_units == 0)) continue;
    Json entry = {{"shard", i}, {"path", shard.path}, {"units", shard.damaged_units}};
    entry["detail"] = shard.damage.empty()
                          ? absl::StrCat(shard.damaged_units,
                                         " units do not fit their checksums, the first in stripe ",
                                         shard.first_damaged)
                          : shard.damage;
    damaged.push_back(std::move(entry));
  }
  return damaged;
}

// Rebuilds the units `lost` of a stripe from those present. DataLoss names the stripe.
absl::Status Rebuild(const ec::Code& code, uint64_t stripe, const ec::ShardSet& present,
                     const ec::ShardSet& lost, const std::vector<ec::Bytes>& units) {
  const auto repair = code.PlanRepair(present, lost);
  if (!repair.ok()) {
    return absl::DataLossError(
        absl::StrCat("stripe ", stripe, ": ", std::string(repair.status().message())));
  }
  std::vector<ec::ConstBytes> sources;
  std::vector<ec::Bytes> targets;
  for (const int i : (*repair)->sources()) sources.push_back(units[static_cast<size_t>(i)]);
  for (const int i : (*repair)->targets()) targets.push_back(units[static_cast<size_t>(i)]);
  return (*repair)->Run(sources, targets);
}

ec::ShardSet DataShards(const ec::ShardLayout& layout) {
  ec::ShardSet data;
  for (int i = 0; i < layout.data_shards; ++i) data.set(static_cast<size_t>(i));
  return data;
}

// Fills in the data units of a stripe; reads parity only where data is missing. Returns how many
// had to be rebuilt.
absl::StatusOr<uint64_t> ReadData(ShardFileSet& set, uint64_t stripe, StripeBuffer& buffer) {
  const std::vector<ec::Bytes> units = buffer.All(stripe);
  const ec::ShardSet data = DataShards(set.layout());
  ec::ShardSet present = set.ReadUnits(stripe, data, units);
  const ec::ShardSet lost = data & ~present;
  if (lost.none()) return 0;
  present |= set.ReadUnits(stripe, set.code().AllShards() & ~data, units);
  STRATA_RETURN_IF_ERROR(Rebuild(set.code(), stripe, present, lost, units));
  return lost.count();
}

absl::StatusOr<Json> DecodeOne(ShardFileSet& set, const std::string& output, bool force,
                               const dedup::ProgressCallback& progress) {
  const ec::ShardLayout& layout = set.layout();
  const absl::StatusOr<uint32_t> file_crc = set.FileCrc();
  if (!file_crc.ok()) return Annotate(file_crc.status(), output);
  STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<PartFile> file, PartFile::Create(output, force));
  StripeBuffer buffer(layout);
  uint32_t crc = 0;
  uint64_t rebuilt = 0;
  for (uint64_t stripe = 0; stripe < layout.stripe_count(); ++stripe) {
    STRATA_RETURN_IF_ERROR(
        Report(progress, "decoding", layout.FileOffset(stripe), layout.file_bytes));
    const absl::StatusOr<uint64_t> count = ReadData(set, stripe, buffer);
    if (!count.ok()) return Annotate(count.status(), output);
    rebuilt += *count;
    const ec::Bytes part = buffer.FilePart(stripe);
    crc = ExtendCrc32c(crc, part);
    STRATA_RETURN_IF_ERROR(file->file().WriteAt(layout.FileOffset(stripe), part));
  }
  if (crc != *file_crc) {
    return absl::DataLossError(absl::StrCat(output, ": the file does not fit its checksum"));
  }
  STRATA_RETURN_IF_ERROR(file->Commit());
  return Json{{"name", output},
              {"file_bytes", layout.file_bytes},
              {"rebuilt_units", rebuilt},
              {"damaged", DamageOf(set)}};
}

// Reads everything. The file can be had when decoding would give it: every stripe's data is there
// or can be rebuilt, and together they fit the file's checksum.
absl::StatusOr<Json> VerifyOne(ShardFileSet& set, const dedup::ProgressCallback& progress) {
  const ec::ShardLayout& layout = set.layout();
  const ec::Code& code = set.code();
  Json missing = Json::array();
  for (size_t i = 0; i < set.shards().size(); ++i) {
    if (!set.shards()[i].is_there) missing.push_back(i);
  }
  const absl::StatusOr<uint32_t> file_crc = set.FileCrc();
  absl::Status had = file_crc.status();
  Json wrong_parity = Json::array();
  // Headers alone may claim any number of stripes.
  const uint64_t stripes = set.HasWholeShard() ? layout.stripe_count() : 0;
  std::optional<StripeBuffer> buffer;
  if (stripes > 0) buffer.emplace(layout);
  uint32_t crc = 0;
  for (uint64_t stripe = 0; stripe < stripes; ++stripe) {
    STRATA_RETURN_IF_ERROR(
        Report(progress, "verifying", layout.FileOffset(stripe), layout.file_bytes));
    const std::vector<ec::Bytes> units = buffer->All(stripe);
    const ec::ShardSet good = set.ReadUnits(stripe, code.AllShards(), units);
    if (good == code.AllShards()) {
      const absl::Status status =
          code.Verify(buffer->ConstUnits(stripe, 0, layout.data_shards),
                      buffer->ConstUnits(stripe, layout.data_shards, code.total_shards()));
      if (!status.ok()) {
        wrong_parity.push_back(
            absl::StrCat("stripe ", stripe, ": ", std::string(status.message())));
      }
    }
    if (!had.ok()) continue;
    had = Rebuild(code, stripe, good, DataShards(layout) & ~good, units);
    crc = ExtendCrc32c(crc, buffer->FilePart(stripe));
  }
  if (had.ok() && crc != *file_crc) had = absl::DataLossError("it does not fit its checksum");
  return Json{{"name", set.FileName()},
              {"code", code.name()},
              {"file_bytes", layout.file_bytes},
              {"shards", code.total_shards()},
              {"found", set.shards().size() - missing.size()},
              {"missing", std::move(missing)},
              {"damaged", DamageOf(set)},
              {"wrong_parity", std::move(wrong_parity)},
              {"recoverable", had.ok()},
              {"detail", std::string(had.message())}};
}

absl::StatusOr<Json> Encode(const ErasureRequest& request,
                            const dedup::ProgressCallback& progress) {
  Json files = Json::array();
  for (const std::string& path : request.files) {
    STRATA_ASSIGN_OR_RETURN(Json file, EncodeOne(path, request, progress));
    files.push_back(std::move(file));
  }
  return Json{{"files", std::move(files)}};
}

absl::StatusOr<Json> Decode(const ErasureRequest& request,
                            const dedup::ProgressCallback& progress) {
  std::vector<std::string> strays;
  STRATA_ASSIGN_OR_RETURN(std::vector<ShardFileSet> sets,
                          ShardFileSet::Open(ShardFileSet::Expand(request.files), &strays));
  if (sets.empty()) return absl::DataLossError(strays.empty() ? "no shard files" : strays.front());
  if (!request.output.empty() && sets.size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the shards are of ", sets.size(), " files, which one output cannot take"));
  }
  std::vector<std::string> outputs;
  for (const ShardFileSet& set : sets) {
    std::string output = request.output.empty() ? set.FileName() : request.output;
    if (output.empty()) {
      return absl::InvalidArgumentError("the shards' names do not end in .ec.NNN: name an output");
    }
    if (std::ranges::find(outputs, output) != outputs.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the shards named ", output, ".ec.NNN are of different encodings: decode each alone"));
    }
    outputs.push_back(std::move(output));
  }
  Json files = Json::array();
  for (size_t i = 0; i < sets.size(); ++i) {
    STRATA_ASSIGN_OR_RETURN(Json file, DecodeOne(sets[i], outputs[i], request.force, progress));
    files.push_back(std::move(file));
  }
  return Json{{"files", std::move(files)}, {"strays", strays}};
}

absl::StatusOr<Json> Verify(const ErasureRequest& request,
                            const dedup::ProgressCallback& progress) {
  std::vector<std::string> strays;
  STRATA_ASSIGN_OR_RETURN(std::vector<ShardFileSet> opened,
                          ShardFileSet::Open(ShardFileSet::Expand(request.files), &strays));
  Json sets = Json::array();
  bool damaged = !strays.empty();
  for (ShardFileSet& set : opened) {
    STRATA_ASSIGN_OR_RETURN(Json answer, VerifyOne(set, progress));
    damaged = damaged || !answer["missing"].empty() || !answer["damaged"].empty() ||
              !answer["wrong_parity"].empty() || !answer["recoverable"].get<bool>();
    sets.push_back(std::move(answer));
  }
  return Json{{"sets", std::move(sets)}, {"strays", strays}, {"damaged", damaged}};
}

// The shards that are missing, of no use, or have units that do not fit their checksums.
absl::StatusOr<std::vector<size_t>> FindLostShards(ShardFileSet& set,
                                                   const dedup::ProgressCallback& progress) {
  const ec::ShardLayout& layout = set.layout();
  if (!set.HasWholeShard()) return absl::DataLossError("no shard is whole");
  StripeBuffer buffer(layout);
  for (uint64_t stripe = 0; stripe < layout.stripe_count(); ++stripe) {
    STRATA_RETURN_IF_ERROR(
        Report(progress, "verifying", layout.FileOffset(stripe), layout.file_bytes));
    (void)set.ReadUnits(stripe, set.code().AllShards(), buffer.All(stripe));
  }
  std::vector<size_t> lost;
  for (size_t i = 0; i < set.shards().size(); ++i) {
    const ShardFileSet::Shard& shard = set.shards()[i];
    if (!shard.is_there || !shard.damage.empty() || shard.damaged_units > 0) lost.push_back(i);
  }
  return lost;
}

// Writes the lost shards of a set again. None gets its name before all are whole.
absl::StatusOr<Json> RepairOne(ShardFileSet& set, bool force,
                               const dedup::ProgressCallback& progress) {
  const ec::ShardLayout& layout = set.layout();
  STRATA_ASSIGN_OR_RETURN(const uint32_t file_crc, set.FileCrc());
  STRATA_ASSIGN_OR_RETURN(const std::vector<size_t> lost, FindLostShards(set, progress));
  std::vector<std::unique_ptr<PartFile>> parts;
  std::vector<ec::ShardTrailer> trailers(lost.size());
  ec::ShardHeader header;
  header.layout = layout;
  header.set_id = set.set_id();
  for (const size_t i : lost) {
    const ShardFileSet::Shard& shard = set.shards()[i];
    const std::string path =
        shard.is_there ? shard.path : absl::StrFormat("%s.ec.%03d", set.FileName(), i);
    STRATA_ASSIGN_OR_RETURN(auto part, PartFile::Create(path, force || shard.is_there));
    header.shard = static_cast<int>(i);
    STRATA_RETURN_IF_ERROR(part->file().WriteAt(0, ec::EncodeShardHeader(header)));
    parts.push_back(std::move(part));
  }
  StripeBuffer buffer(layout);
  uint32_t crc = 0;
  for (uint64_t stripe = 0; stripe < layout.stripe_count() && !lost.empty(); ++stripe) {
    STRATA_RETURN_IF_ERROR(
        Report(progress, "repairing", layout.FileOffset(stripe), layout.file_bytes));
    const std::vector<ec::Bytes> units = buffer.All(stripe);
    const ec::ShardSet good = set.ReadUnits(stripe, set.code().AllShards(), units);
    STRATA_RETURN_IF_ERROR(
        Rebuild(set.code(), stripe, good, set.code().AllShards() & ~good, units));
    crc = ExtendCrc32c(crc, buffer.FilePart(stripe));
    for (size_t j = 0; j < lost.size(); ++j) {
      trailers[j].unit_crcs.push_back(Crc32c(units[lost[j]]));
      STRATA_RETURN_IF_ERROR(parts[j]->file().WriteAt(layout.UnitOffset(stripe), units[lost[j]]));
    }
  }
  if (!lost.empty() && crc != file_crc) {
    return absl::DataLossError("the file does not fit its checksum");
  }
  Json written = Json::array();
  for (size_t j = 0; j < lost.size(); ++j) {
    trailers[j].file_crc = file_crc;
    STRATA_RETURN_IF_ERROR(parts[j]->file().WriteAt(ec::kShardHeaderBytes + layout.shard_bytes(),
                                                    ec::EncodeShardTrailer(trailers[j])));
  }
  for (const std::unique_ptr<PartFile>& part : parts) {
    STRATA_RETURN_IF_ERROR(part->Commit());
    written.push_back(part->path());
  }
  return Json{
      {"name", set.FileName()}, {"file_bytes", layout.file_bytes}, {"written", std::move(written)}};
}

absl::StatusOr<Json> Repair(const ErasureRequest& request,
                            const dedup::ProgressCallback& progress) {
  std::vector<std::string> strays;
  STRATA_ASSIGN_OR_RETURN(std::vector<ShardFileSet> sets,
                          ShardFileSet::Open(ShardFileSet::Expand(request.files), &strays));
  if (sets.empty()) return absl::DataLossError(strays.empty() ? "no shard files" : strays.front());
  Json files = Json::array();
  for (ShardFileSet& set : sets) {
    const std::string name = set.FileName();
    if (name.empty()) {
      return absl::InvalidArgumentError("the shards' names do not end in .ec.NNN: rename them");
    }
    absl::StatusOr<Json> file = RepairOne(set, request.force, progress);
    if (!file.ok()) return Annotate(file.status(), name);
    files.push_back(*std::move(file));
  }
  return Json{{"files", std::move(files)}, {"strays", strays}};
}

void AppendDamage(const Json& damaged, std::string* text) {
  for (const Json& entry : damaged) {
    absl::StrAppend(text, "  shard ", entry["shard"].get<int>(), " (",
                    entry["path"].get<std::string>(), "): ", entry["detail"].get<std::string>(),
                    "\n");
  }
}

}  // namespace

absl::StatusOr<Json> RunErasureCommand(const std::string& command, const ErasureRequest& request,
                                       const dedup::ProgressCallback& progress) {
  if (command == "ec.encode") return Encode(request, progress);
  if (command == "ec.decode") return Decode(request, progress);
  if (command == "ec.verify") return Verify(request, progress);
  if (command == "ec.repair") return Repair(request, progress);
  return absl::UnimplementedError(absl::StrCat("no command '", command, "'"));
}

std::string FormatErasureAnswer(const std::string& command, const Json& answer) {
  std::string text;
  if (command == "ec.verify") {
    for (const Json& set : answer["sets"]) {
      absl::StrAppend(&text, set["name"].get<std::string>(), ": ", set["code"].get<std::string>(),
                      ", ", FormatSize(set["file_bytes"].get<uint64_t>()), ", ",
                      set["found"].get<int>(), " of ", set["shards"].get<int>(), " shards, ",
                      set["recoverable"].get<bool>()
                          ? "the file can be had"
                          : absl::StrCat("THE FILE IS LOST: ", set["detail"].get<std::string>()),
                      "\n");
      for (const Json& shard : set["missing"]) {
        absl::StrAppend(&text, "  shard ", shard.get<int>(), " is missing\n");
      }
      AppendDamage(set["damaged"], &text);
      for (const Json& line : set["wrong_parity"]) {
        absl::StrAppend(&text, "  ", line.get<std::string>(), "\n");
      }
    }
    for (const Json& line : answer["strays"]) {
      absl::StrAppend(&text, line.get<std::string>(), "\n");
    }
    return text;
  }
  if (answer.contains("strays")) {
    for (const Json& line : answer["strays"]) absl::StrAppend(&text, line.get<std::string>(), "\n");
  }
  for (const Json& file : answer["files"]) {
    absl::StrAppend(&text, file["name"].get<std::string>(), ": ",
                    FormatSize(file["file_bytes"].get<uint64_t>()));
    if (command == "ec.encode") {
      absl::StrAppend(&text, ", ", file["code"].get<std::string>(), ", ", file["shards"].size(),
                      " shards of ", FormatSize(file["shard_bytes"].get<uint64_t>()), "\n");
    } else if (command == "ec.repair") {
      absl::StrAppend(&text, ", ", file["written"].size(), " shards written\n");
    } else {
      absl::StrAppend(&text, ", ", file["rebuilt_units"].get<uint64_t>(), " units rebuilt\n");
      AppendDamage(file["damaged"], &text);
    }
  }
  return text;
}

}  // namespace strata::appliance
