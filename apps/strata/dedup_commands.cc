// SPDX-License-Identifier: Apache-2.0
#include "dedup_commands.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/key_file.h"
#include "dedup_scan.h"
#include "directory_access.h"
#include "input_files.h"
#include "restored_file.h"
#include "store_access.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using dedup::StreamId;
using dedup::StreamInfo;

constexpr size_t kPieceBytes = 1u << 20;

// The store of a request with its catalogue: the space "dedup-names" of its kv store, name ->
// StreamId in hexadecimal.
class Catalogue {
 public:
  static absl::StatusOr<std::unique_ptr<Catalogue>> Open(const DedupRequest& request,
                                                         Access access) {
    dedup::DirectoryOptions options = request.directory;
    STRATA_ASSIGN_OR_RETURN(options.store.encryption_key, ReadKeyFile(request.key_file));
    STRATA_ASSIGN_OR_RETURN(auto directory, OpenDirectory(options, access));
    STRATA_ASSIGN_OR_RETURN(const kv::SpaceId names, directory->kv().OpenSpace("dedup-names", {}));
    return std::unique_ptr<Catalogue>(new Catalogue(std::move(directory), names));
  }

  dedup::Store& store() { return directory_->store(); }
  dedup::Directory& directory() { return *directory_; }

  // Makes the stream of `writer` visible under `name`. AlreadyExists: unless it may `replace` the
  // one of that name.
  absl::Status Add(dedup::Writer& writer, const StreamInfo& info, const std::string& name,
                   bool replace) {
    return Repeatedly([&](kv::Transaction& txn) -> absl::Status {
      STRATA_ASSIGN_OR_RETURN(const auto old, txn.Get(names_, name));
      dedup::Change change{.add = {&writer}, .copy = {}, .remove = {}};
      if (old) {
        if (!replace) return Taken(name);
        STRATA_ASSIGN_OR_RETURN(const StreamId id, StreamId::FromHex(*old));
        change.remove.push_back(id);
      }
      STRATA_RETURN_IF_ERROR(txn.Put(names_, name, info.id.ToHex()));
      return store().Commit(txn, change, kv::Durability::kSync);
    });
  }

  absl::Status Remove(const std::string& name) {
    return Repeatedly([&](kv::Transaction& txn) -> absl::Status {
      STRATA_ASSIGN_OR_RETURN(const auto old, txn.Get(names_, name));
      if (!old) return Unknown(name);
      STRATA_ASSIGN_OR_RETURN(const StreamId id, StreamId::FromHex(*old));
      STRATA_RETURN_IF_ERROR(txn.Delete(names_, name));
      return store().Commit(txn, {.add = {}, .copy = {}, .remove = {id}}, kv::Durability::kSync);
    });
  }

  absl::StatusOr<bool> Has(const std::string& name) {
    STRATA_ASSIGN_OR_RETURN(const auto value, directory_->kv().NewSnapshot()->Get(names_, name));
    return value.has_value();
  }

  // The stream of that name, or those below it as below a folder; empty: all.
  absl::StatusOr<std::map<std::string, StreamId>> Find(const std::string& name) {
    const std::unique_ptr<kv::Snapshot> snapshot = directory_->kv().NewSnapshot();
    std::map<std::string, StreamId> found;
    if (!name.empty()) {
      STRATA_ASSIGN_OR_RETURN(const auto value, snapshot->Get(names_, name));
      if (value) {
        STRATA_ASSIGN_OR_RETURN(found[name], StreamId::FromHex(*value));
        return found;
      }
    }
    const std::string folder = name.empty() || name.ends_with('/') ? name : absl::StrCat(name, "/");
    kv::Range range = kv::PrefixRange(folder);
    for (bool more = true; more;) {
      STRATA_ASSIGN_OR_RETURN(const kv::Page page, snapshot->List(names_, range, {}));
      for (const kv::KeyValue& item : page.items) {
        STRATA_ASSIGN_OR_RETURN(found[item.key], StreamId::FromHex(item.value));
      }
      more = page.more;
      if (more) range.begin = page.items.back().key + '\0';
    }
    if (found.empty() && !name.empty()) return Unknown(name);
    return found;
  }

  absl::Status Taken(const std::string& name) const {
    return absl::AlreadyExistsError(
        absl::StrCat(directory_->path(), ": there is a stream '", name, "' already"));
  }

  // `status`, saying of which store, and of which of its streams.
  absl::Status Of(const std::string& name, const absl::Status& status) const {
    const std::string what = name.empty() ? "" : absl::StrCat(" '", name, "':");
    return absl::Status(status.code(),
                        absl::StrCat(directory_->path(), ":", what, " ", status.message()));
  }

 private:
  Catalogue(std::unique_ptr<dedup::Directory> directory, kv::SpaceId names)
      : directory_(std::move(directory)), names_(names) {}

  absl::Status Unknown(const std::string& name) const {
    return absl::NotFoundError(absl::StrCat(directory_->path(), ": no stream '", name, "'"));
  }

  // The body commits; a conflict begins it anew.
  template <typename Body>
  absl::Status Repeatedly(Body&& body) {
    absl::Status status;
    for (int attempt = 0; attempt < 16; ++attempt) {
      status = body(*directory_->kv().Begin());
      if (!absl::IsAborted(status)) break;
    }
    return status;
  }

  const std::unique_ptr<dedup::Directory> directory_;
  const kv::SpaceId names_;
};

absl::Status Report(const dedup::ProgressCallback& progress, const dedup::Progress& state) {
  return progress(state) ? absl::OkStatus() : absl::CancelledError("interrupted");
}

Json StreamJson(const std::string& name, const StreamInfo& info) {
  return {{"name", name},
          {"id", info.id.ToHex()},
          {"size_bytes", info.size_bytes},
          {"chunks", info.chunk_count},
          {"new_bytes", info.new_chunk_bytes},
          {"stored_bytes", info.new_stored_bytes},
          {"created_ns", info.created_ns}};
}

absl::StatusOr<Json> Scan(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  std::vector<dedup::ChunkerOptions> chunkers;
  for (const std::string& name : request.algorithms) {
    dedup::ChunkerOptions options = request.sizes;
    STRATA_ASSIGN_OR_RETURN(options.algorithm, dedup::ParseChunkAlgorithm(name));
    chunkers.push_back(options);
  }
  if (chunkers.empty()) {
    for (const dedup::ChunkAlgorithm algorithm : dedup::AllChunkAlgorithms()) {
      chunkers.push_back(request.sizes);
      chunkers.back().algorithm = algorithm;
    }
  }
  return ScanFiles(request.operands, chunkers, progress);
}

std::string NameOf(const DedupRequest& request, const std::string& operand, const InputFile& file) {
  const std::string top = request.name.empty() ? operand : request.name;
  return file.relative.empty() ? top : (std::filesystem::path(top) / file.relative).string();
}

absl::StatusOr<Json> Ingest(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  std::vector<std::pair<std::string, InputFile>> wanted;
  dedup::Progress state{.phase = "ingesting"};
  if (!request.name.empty() && request.operands.size() > 1) {
    return absl::InvalidArgumentError("one name cannot be that of several paths");
  }
  for (const std::string& operand : request.operands) {
    if (operand == "-" && request.name.empty()) {
      return absl::InvalidArgumentError("standard input has no name: give --name");
    }
    STRATA_ASSIGN_OR_RETURN(const std::vector<InputFile> files, FilesUnder(operand));
    for (const InputFile& file : files) {
      wanted.emplace_back(NameOf(request, operand, file), file);
      state.total += file.size_bytes;
    }
  }
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kCreate));
  Json streams = Json::array();
  StreamInfo sum;
  for (const auto& entry : wanted) {
    const std::string& name = entry.first;
    const InputFile& file = entry.second;
    STRATA_ASSIGN_OR_RETURN(const bool taken, catalogue->Has(name));
    if (taken && !request.force) return catalogue->Taken(name);
    const std::unique_ptr<dedup::Writer> writer = catalogue->store().NewWriter();
    STRATA_RETURN_IF_ERROR(ReadPieces(file.path, [&](std::span<const std::byte> piece) {
      const absl::Status written = writer->Write(piece);
      if (!written.ok()) return catalogue->Of(name, written);
      state.done += piece.size();
      return Report(progress, state);
    }));
    const absl::StatusOr<StreamInfo> info = writer->Prepare();
    if (!info.ok()) return catalogue->Of(name, info.status());
    STRATA_RETURN_IF_ERROR(catalogue->Add(*writer, *info, name, request.force));
    sum.size_bytes += info->size_bytes;
    sum.new_chunk_bytes += info->new_chunk_bytes;
    sum.new_stored_bytes += info->new_stored_bytes;
    streams.push_back(StreamJson(name, *info));
  }
  return Json{{"streams", std::move(streams)},
              {"logical_bytes", sum.size_bytes},
              {"new_bytes", sum.new_chunk_bytes},
              {"stored_bytes", sum.new_stored_bytes}};
}

// A stream of the catalogue, whose errors say its name.
class NamedReader {
 public:
  static absl::StatusOr<NamedReader> Open(Catalogue& catalogue, const std::string& name,
                                          const StreamId& id) {
    absl::StatusOr<std::unique_ptr<dedup::Reader>> reader = catalogue.store().OpenReader(id);
    if (!reader.ok()) return catalogue.Of(name, reader.status());
    return NamedReader(catalogue, name, *std::move(reader));
  }

  uint64_t size_bytes() const { return reader_->info().size_bytes; }

  absl::StatusOr<size_t> Read(uint64_t offset, std::span<std::byte> out) {
    absl::StatusOr<size_t> count = reader_->Read(offset, out);
    if (!count.ok()) return catalogue_->Of(name_, count.status());
    return count;
  }

 private:
  NamedReader(const Catalogue& catalogue, const std::string& name,
              std::unique_ptr<dedup::Reader> reader)
      : catalogue_(&catalogue), name_(name), reader_(std::move(reader)) {}

  const Catalogue* catalogue_;
  std::string name_;
  std::unique_ptr<dedup::Reader> reader_;
};

absl::Status CopyToStdout(NamedReader& reader, const dedup::ProgressCallback& progress,
                          dedup::Progress* state) {
  std::vector<std::byte> piece(kPieceBytes);
  for (uint64_t offset = 0; offset < reader.size_bytes();) {
    STRATA_ASSIGN_OR_RETURN(const size_t count, reader.Read(offset, piece));
    if (std::fwrite(piece.data(), 1, count, stdout) != count) {
      return absl::UnavailableError(absl::StrCat("standard output: ", std::strerror(errno)));
    }
    offset += count;
    state->done += count;
    STRATA_RETURN_IF_ERROR(Report(progress, *state));
  }
  return absl::OkStatus();
}

absl::Status CopyToFile(NamedReader& reader, const std::string& path, bool force,
                        const dedup::ProgressCallback& progress, dedup::Progress* state) {
  const uint64_t size_bytes = reader.size_bytes();
  STRATA_ASSIGN_OR_RETURN(const auto file, RestoredFile::Create(path, size_bytes, force));
  for (uint64_t offset = 0; offset < size_bytes;) {
    STRATA_ASSIGN_OR_RETURN(const std::span<std::byte> piece, file->NextPiece());
    STRATA_ASSIGN_OR_RETURN(const size_t count, reader.Read(offset, piece));
    STRATA_RETURN_IF_ERROR(file->Write(count));
    offset += count;
    state->done += count;
    STRATA_RETURN_IF_ERROR(Report(progress, *state));
  }
  return file->Commit();
}

// A name from the catalogue below `output`: never above it, whatever the name.
absl::StatusOr<std::string> PathBelow(const std::string& output, const std::string& relative) {
  const std::filesystem::path path = std::filesystem::path(relative).lexically_normal();
  if (path.empty() || path.is_absolute() || *path.begin() == "..") {
    return absl::InvalidArgumentError(
        absl::StrCat("'", relative, "' leads out of the folder: restore it by its name alone"));
  }
  return (std::filesystem::path(output) / path).string();
}

absl::StatusOr<Json> RestoreOne(Catalogue& catalogue, const std::string& name, const StreamId& id,
                                const std::string& path, bool force,
                                const dedup::ProgressCallback& progress, dedup::Progress* state) {
  STRATA_ASSIGN_OR_RETURN(NamedReader reader, NamedReader::Open(catalogue, name, id));
  if (path == "-") {
    STRATA_RETURN_IF_ERROR(CopyToStdout(reader, progress, state));
  } else {
    std::error_code error;
    const std::filesystem::path folder = std::filesystem::path(path).parent_path();
    if (!folder.empty()) std::filesystem::create_directories(folder, error);
    if (error) return absl::UnavailableError(absl::StrCat(folder.string(), ": ", error.message()));
    STRATA_RETURN_IF_ERROR(CopyToFile(reader, path, force, progress, state));
  }
  return Json{{"name", name}, {"path", path}, {"size_bytes", reader.size_bytes()}};
}

absl::StatusOr<Json> Restore(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kRead));
  const std::string& name = request.operands.front();
  STRATA_ASSIGN_OR_RETURN(const auto found, catalogue->Find(name));
  const bool single = found.size() == 1 && found.begin()->first == name;
  const std::string output =
      !request.output.empty() ? request.output : std::filesystem::path(name).filename().string();
  dedup::Progress state{.phase = "restoring"};
  for (const auto& [stream, id] : found) {
    STRATA_ASSIGN_OR_RETURN(const StreamInfo info, catalogue->store().Stat(id));
    state.total += info.size_bytes;
  }
  Json files = Json::array();
  for (const auto& [stream, id] : found) {
    std::string path = output;
    if (!single && output != "-") {
      const size_t folder = name.ends_with('/') ? name.size() : name.size() + 1;
      STRATA_ASSIGN_OR_RETURN(path, PathBelow(output, stream.substr(folder)));
    }
    STRATA_ASSIGN_OR_RETURN(
        Json file, RestoreOne(*catalogue, stream, id, path, request.force, progress, &state));
    files.push_back(std::move(file));
  }
  return Json{{"files", std::move(files)}};
}

absl::StatusOr<Json> List(const DedupRequest& request, const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kRead));
  STRATA_ASSIGN_OR_RETURN(
      const auto found, catalogue->Find(request.operands.empty() ? "" : request.operands.front()));
  Json streams = Json::array();
  for (const auto& [name, id] : found) {
    STRATA_ASSIGN_OR_RETURN(const StreamInfo info, catalogue->store().Stat(id));
    streams.push_back(StreamJson(name, info));
  }
  return Json{{"streams", std::move(streams)}};
}

absl::StatusOr<Json> Delete(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kChange));
  std::vector<std::string> names;
  for (const std::string& operand : request.operands) {
    STRATA_ASSIGN_OR_RETURN(const auto found, catalogue->Find(operand));
    for (const auto& [name, id] : found) names.push_back(name);
  }
  dedup::Progress state{.phase = "deleting", .done = 0, .total = names.size()};
  for (const std::string& name : names) {
    STRATA_RETURN_IF_ERROR(catalogue->Remove(name));
    ++state.done;
    STRATA_RETURN_IF_ERROR(Report(progress, state));
  }
  return Json{{"deleted", names}};
}

absl::StatusOr<Json> Collect(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kChange));
  const auto collect = [&](auto options, auto method) {
    options.rewrite_below_live_ratio =
        request.rewrite_below_live_ratio.value_or(options.rewrite_below_live_ratio);
    options.max_bytes_per_second = request.max_bytes_per_second;
    options.progress = progress;
    return (catalogue->store().*method)(options);
  };
  const absl::StatusOr<dedup::GarbageReport> report =
      request.fold ? collect(dedup::DeduplicateOptions{}, &dedup::Store::Deduplicate)
                   : collect(dedup::GarbageOptions{}, &dedup::Store::CollectGarbage);
  if (!report.ok()) return catalogue->Of("", report.status());
  return Json{{"freed_bytes", report->freed_bytes},
              {"containers_examined", report->containers_examined},
              {"containers_freed", report->containers_freed},
              {"duplicate_chunks", report->duplicate_chunks},
              {"deferred_bytes", report->deferred_bytes},
              {"live_bytes_copied", report->live_bytes_copied},
              {"streams_marked", report->streams_marked}};
}

absl::StatusOr<Json> Verify(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kRead));
  STRATA_ASSIGN_OR_RETURN(
      const dedup::VerifyReport report,
      catalogue->store().Verify({.read_data = !request.quick, .progress = progress}));
  std::map<StreamId, std::string> names;
  STRATA_ASSIGN_OR_RETURN(const auto all, catalogue->Find(""));
  for (const auto& [name, id] : all) names[id] = name;
  Json streams = Json::array();
  for (const dedup::Damage& damage : report.streams) {
    streams.push_back({{"name", names[damage.stream]},
                       {"stream", damage.stream.ToHex()},
                       {"offset_bytes", damage.offset_bytes},
                       {"size_bytes", damage.size_bytes},
                       {"detail", damage.detail}});
  }
  return Json{{"damaged", !report.streams.empty() || !report.container_damage.empty() ||
                              !report.index_damage.empty()},
              {"containers_checked", report.containers_checked},
              {"chunks_checked", report.chunks_checked},
              {"bytes_read", report.bytes_read},
              {"streams_checked", report.streams_checked},
              {"container_damage", report.container_damage},
              {"index_entries_checked", report.index_entries_checked},
              {"index_damage", report.index_damage},
              {"streams", std::move(streams)},
              {"objects", Json::array()}};
}

absl::StatusOr<Json> RebuildMetadata(const DedupRequest& request,
                                     const dedup::ProgressCallback& progress) {
  dedup::DirectoryOptions options = request.directory;
  STRATA_ASSIGN_OR_RETURN(options.store.encryption_key, ReadKeyFile(request.key_file));
  STRATA_ASSIGN_OR_RETURN(const dedup::MetadataReport report,
                          dedup::Directory::RebuildMetadata(options, progress));
  // Opening makes the chunk index; a look at all recipes names the streams that miss content.
  DedupRequest quick = request;
  quick.quick = true;
  STRATA_ASSIGN_OR_RETURN(const Json verified, Verify(quick, progress));
  return RebuiltJson(report, verified);
}

absl::StatusOr<Json> Stat(const DedupRequest& request, const dedup::ProgressCallback&) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, Access::kRead));
  const dedup::Stats stats = catalogue->store().Stats();
  const auto ratio = [](uint64_t large, uint64_t small) {
    return small == 0 ? 1.0 : static_cast<double>(large) / static_cast<double>(small);
  };
  return Json{{"store", catalogue->directory().path()},
              {"streams", stats.stream_count},
              {"logical_bytes", stats.logical_bytes},
              {"unique_bytes", stats.unique_bytes},
              {"compressed_bytes", stats.compressed_bytes},
              {"deferred_bytes", stats.deferred_bytes},
              {"recipe_bytes", stats.recipe_bytes},
              {"container_bytes", stats.container_bytes},
              {"chunks", stats.chunk_count},
              {"average_chunk_bytes", stats.average_chunk_bytes()},
              {"containers", stats.container_count},
              {"dedup_ratio", ratio(stats.logical_bytes, stats.unique_bytes)},
              {"compression_ratio", ratio(stats.unique_bytes, stats.compressed_bytes)},
              {"reduction_ratio", ratio(stats.logical_bytes, stats.compressed_bytes)}};
}

absl::StatusOr<Json> RebuildIndex(const DedupRequest& request,
                                  const dedup::ProgressCallback& progress) {
  STRATA_ASSIGN_OR_RETURN(const auto catalogue, Catalogue::Open(request, /*create=*/false));
  STRATA_RETURN_IF_ERROR(catalogue->store().RebuildIndex(progress));
  return Json::object();
}

struct Command {
  const char* name;
  absl::StatusOr<Json> (*run)(const DedupRequest&, const dedup::ProgressCallback&);
};

constexpr Command kCommands[] = {
    {"dedup.scan", Scan},
    {"dedup.ingest", Ingest},
    {"dedup.restore", Restore},
    {"dedup.list", List},
    {"dedup.delete", Delete},
    {"dedup.gc", Collect},
    {"dedup.verify", Verify},
    {"dedup.stat", Stat},
    {"dedup.rebuild-index", RebuildIndex},
    {"dedup.rebuild-metadata", RebuildMetadata},
};

}  // namespace

absl::StatusOr<Json> RunDedupCommand(const std::string& command, const DedupRequest& request,
                                     const dedup::ProgressCallback& progress) {
  for (const Command& known : kCommands) {
    if (command == known.name) return known.run(request, progress);
  }
  return absl::UnimplementedError(absl::StrCat("no command '", command, "'"));
}

}  // namespace strata::appliance
