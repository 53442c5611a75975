// SPDX-License-Identifier: Apache-2.0
//
// strata dedup restore. Nothing is written outside the output, whatever names and links say.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "appliance/json.h"
#include "command_line/dedup/dedup_catalogue.h"
#include "command_line/dedup/file_attributes.h"
#include "command_line/dedup/folder_tree.h"
#include "command_line/dedup/restored_file.h"
#include "command_line/part_file.h"
#include "command_line/quoted_text.h"
#include "strata/base/errno_status.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using dedup::CatalogueEntry;
using dedup::EntryKind;
using dedup::NamedEntry;

constexpr size_t kPieceBytes = 1u << 20;
constexpr uint64_t kMinDirectBytes = 4u << 20;

// The stream of an entry, whose errors say its name.
class NamedReader {
 public:
  static absl::StatusOr<NamedReader> Open(OpenedStore& store, const NamedEntry& named) {
    absl::StatusOr<std::unique_ptr<dedup::Reader>> reader =
        store.store().OpenReader(*named.entry.stream);
    if (!reader.ok()) return store.Of(named.name, reader.status());
    return NamedReader(store, named, *std::move(reader));
  }

  // Of the file; older catalogues left it to the stream.
  uint64_t size_bytes() const { return reader_->info().size_bytes + hole_bytes_; }

  // Without the holes.
  absl::Status ReadStream(uint64_t offset, std::span<std::byte> out) {
    const absl::StatusOr<size_t> count = reader_->Read(offset, out);
    if (!count.ok()) return store_->Of(name_, count.status());
    if (*count == out.size()) return absl::OkStatus();
    return store_->Of(name_, absl::DataLossError("the stream ends too early"));
  }

  // Hands over pieces in order: bytes, or how long a hole is.
  absl::Status ForEachPiece(
      std::vector<std::byte>* memory,
      const std::function<absl::Status(std::span<const std::byte>, uint64_t hole_bytes)>& take) {
    uint64_t in_stream = 0;
    uint64_t in_file = 0;
    const auto copy_until = [&](uint64_t end) -> absl::Status {
      while (in_file < end) {
        const auto piece =
            std::span(*memory).first(std::min<uint64_t>(memory->size(), end - in_file));
        STRATA_RETURN_IF_ERROR(ReadStream(in_stream, piece));
        in_stream += piece.size();
        in_file += piece.size();
        STRATA_RETURN_IF_ERROR(take(piece, 0));
      }
      return absl::OkStatus();
    };
    for (const dedup::Hole& hole : *holes_) {
      STRATA_RETURN_IF_ERROR(copy_until(hole.offset_bytes));
      in_file += hole.size_bytes;
      STRATA_RETURN_IF_ERROR(take({}, hole.size_bytes));
    }
    return copy_until(size_bytes());
  }

 private:
  NamedReader(const OpenedStore& store, const NamedEntry& named,
              std::unique_ptr<dedup::Reader> reader)
      : store_(&store), name_(named.name), holes_(&named.entry.holes), reader_(std::move(reader)) {
    for (const dedup::Hole& hole : *holes_) hole_bytes_ += hole.size_bytes;
  }

  const OpenedStore* store_;
  std::string name_;
  const std::vector<dedup::Hole>* holes_;
  uint64_t hole_bytes_ = 0;
  std::unique_ptr<dedup::Reader> reader_;
};

class Restoration {
 public:
  Restoration(const DedupRequest& request, const dedup::ProgressCallback& progress)
      : request_(request), progress_(progress), memory_(kPieceBytes) {}

  absl::StatusOr<Json> Run() {
    STRATA_ASSIGN_OR_RETURN(store_, OpenedStore::Open(request_, Access::kRead));
    std::string name = request_.operands.front();
    while (name.size() > 1 && name.ends_with('/')) name.pop_back();
    std::vector<std::string> damaged;
    STRATA_ASSIGN_OR_RETURN(const std::vector<NamedEntry> found, store_->Find(name, &damaged));
    for (const std::string& lost : damaged) {
      failures_.Add(lost, store_->Of(lost, absl::DataLossError("its record is damaged")));
    }
    for (const NamedEntry& named : found) state_.total += named.entry.size_bytes;
    const bool single = found.size() == 1 && found.front().name == name &&
                        found.front().entry.kind != EntryKind::kFolder;
    const absl::Status status = request_.output == "-" ? ToStandardOutput(found)
                                : single               ? OneFile(found.front())
                                                       : Folder(name, found);
    STRATA_RETURN_IF_ERROR(status);
    const bool nothing_done = files_.empty();
    return failures_.Finish(Json{{"files", files_}, {"not_kept", not_kept_}}, nothing_done);
  }

 private:
  std::string Output() const {
    if (!request_.output.empty()) return request_.output;
    const std::filesystem::path name(request_.operands.front());
    const std::string last =
        (name.has_filename() ? name.filename() : name.parent_path().filename()).string();
    return last.empty() || last == ".." ? "." : last;
  }

  absl::Status ToStandardOutput(const std::vector<NamedEntry>& found) {
    const std::string zeros(64u << 10, '\0');
    const auto put = [](const void* bytes, size_t size) {
      if (std::fwrite(bytes, 1, size, stdout) == size) return absl::OkStatus();
      return ErrnoStatus(errno, "standard output");
    };
    for (const NamedEntry& named : found) {
      if (named.entry.kind != EntryKind::kFile) continue;
      // What follows a gap would be worse than nothing.
      STRATA_ASSIGN_OR_RETURN(NamedReader reader, NamedReader::Open(*store_, named));
      STRATA_RETURN_IF_ERROR(
          reader.ForEachPiece(&memory_, [&](std::span<const std::byte> piece, uint64_t hole_bytes) {
            STRATA_RETURN_IF_ERROR(put(piece.data(), piece.size()));
            for (uint64_t left = hole_bytes; left > 0;) {
              const size_t size = std::min<uint64_t>(left, zeros.size());
              STRATA_RETURN_IF_ERROR(put(zeros.data(), size));
              left -= size;
              STRATA_RETURN_IF_ERROR(Report(progress_, state_));
            }
            return Advance(piece.size() + hole_bytes);
          }));
      Done(named, "-", reader.size_bytes());
    }
    return absl::OkStatus();
  }

  static absl::Status MakeFolders(const std::filesystem::path& path) {
    std::error_code error;
    if (!path.empty()) std::filesystem::create_directories(path, error);
    if (!error) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat(path.string(), ": ", error.message()));
  }

  absl::Status OneFile(const NamedEntry& named) {
    const std::string output = Output();
    const std::filesystem::path folder = std::filesystem::path(output).parent_path();
    STRATA_RETURN_IF_ERROR(MakeFolders(folder));
    STRATA_ASSIGN_OR_RETURN(FolderTree tree,
                            FolderTree::Open(folder.empty() ? "." : folder.string()));
    const std::string leaf = std::filesystem::path(output).filename().string();
    if (leaf.empty() || leaf == "." || leaf == "..") {
      return absl::InvalidArgumentError(absl::StrCat(output, " is a folder, not a file's name"));
    }
    STRATA_ASSIGN_OR_RETURN(FilePlace place, tree.Find(leaf, /*make=*/false));
    place.path = output;
    const absl::Status status = Make(named, place);
    if (status.ok()) return Sync(tree);
    if (!failures_.Add(named.name, status)) return status;
    return absl::OkStatus();
  }

  absl::Status Folder(const std::string& name, const std::vector<NamedEntry>& found) {
    const std::string output = Output();
    const bool fresh = !std::filesystem::exists(output);
    STRATA_RETURN_IF_ERROR(MakeFolders(output));
    STRATA_ASSIGN_OR_RETURN(FolderTree tree, FolderTree::Open(output));
    const size_t skipped = name.empty() || name.ends_with('/') ? name.size() : name.size() + 1;
    std::map<std::string, const CatalogueEntry*> folders;  // Deepest last.
    absl::Status ending;
    for (const NamedEntry& named : found) {
      const std::string relative = named.name.size() < skipped ? "" : named.name.substr(skipped);
      if (named.entry.kind == EntryKind::kFolder) folders[relative] = &named.entry;
      const absl::Status status = MakeBelow(tree, relative, named);
      if (status.ok() || failures_.Add(named.name, status)) continue;
      ending = status;
      break;
    }
    FinishFolders(tree, fresh, folders);
    STRATA_RETURN_IF_ERROR(ending);
    return Sync(tree);
  }

  absl::Status MakeBelow(FolderTree& tree, const std::string& relative, const NamedEntry& named) {
    STRATA_RETURN_IF_ERROR(Report(progress_, state_));
    if (named.entry.kind == EntryKind::kFolder) {
      STRATA_RETURN_IF_ERROR(tree.OpenFolder(relative, /*make=*/true).status());
      Done(named, relative.empty() ? tree.path() : absl::StrCat(tree.path(), "/", relative), 0);
      return absl::OkStatus();
    }
    const auto& link_id = named.entry.link_id;
    if (link_id) {
      const auto first = links_.find(*link_id);
      if (first != links_.end() && LinkTo(tree, first->second, relative, named).ok()) {
        return absl::OkStatus();
      }
    }
    STRATA_ASSIGN_OR_RETURN(const FilePlace place, tree.Find(relative, /*make=*/true));
    STRATA_RETURN_IF_ERROR(Make(named, place));
    if (link_id) links_.try_emplace(*link_id, relative);
    return absl::OkStatus();
  }

  // Where that does not work the file is made by itself.
  absl::Status LinkTo(FolderTree& tree, const std::string& first, const std::string& relative,
                      const NamedEntry& named) {
    STRATA_ASSIGN_OR_RETURN(const FilePlace source, tree.Find(first, /*make=*/false));
    const FileHandle folder(fcntl(source.folder_fd, F_DUPFD_CLOEXEC, 0), source.path);
    STRATA_ASSIGN_OR_RETURN(const FilePlace place, tree.Find(relative, /*make=*/true));
    STRATA_RETURN_IF_ERROR(MakeNode(
        place, request_.force,
        [&](int fd, const char* part) {
          return linkat(folder.fd(), source.leaf.c_str(), fd, part, 0);
        },
        [](int, const char*) {}));
    Done(named, place.path, named.entry.size_bytes);
    return Advance(named.entry.size_bytes);
  }

  absl::Status Make(const NamedEntry& named, const FilePlace& place) {
    const CatalogueEntry& entry = named.entry;
    if (entry.kind == EntryKind::kFile) return MakeFile(named, place);
    std::vector<std::string> not_kept;
    STRATA_RETURN_IF_ERROR(MakeNode(
        place, request_.force, [&](int fd, const char* part) { return NewNode(entry, fd, part); },
        [&](int fd, const char* part) { GiveAttributesAt(fd, part, entry, &not_kept); }));
    NotKept(place.path, not_kept);
    Done(named, place.path, 0);
    return absl::OkStatus();
  }

  static int NewNode(const CatalogueEntry& entry, int fd, const char* part) {
    const dev_t device = makedev(entry.device.major, entry.device.minor);
    switch (entry.kind) {
      case EntryKind::kSymlink:
        return symlinkat(entry.link_target.c_str(), fd, part);
      case EntryKind::kFifo:
        return mkfifoat(fd, part, 0600);
      case EntryKind::kCharacterDevice:
        return mknodat(fd, part, S_IFCHR | 0600, device);
      case EntryKind::kBlockDevice:
        return mknodat(fd, part, S_IFBLK | 0600, device);
      case EntryKind::kFile:
      case EntryKind::kFolder:
        break;
    }
    errno = EINVAL;
    return -1;
  }

  absl::Status MakeFile(const NamedEntry& named, const FilePlace& place) {
    const CatalogueEntry& entry = named.entry;
    STRATA_ASSIGN_OR_RETURN(NamedReader reader, NamedReader::Open(*store_, named));
    // Nobody reads it before it has its own mode.
    STRATA_ASSIGN_OR_RETURN(const std::unique_ptr<PartFile> part,
                            PartFile::CreateAt(place, request_.force, entry.mode ? 0600 : 0666));
    const bool direct = entry.holes.empty() && reader.size_bytes() >= kMinDirectBytes;
    STRATA_RETURN_IF_ERROR(direct ? CopyDirect(reader, part.get())
                                  : CopyPieces(reader, part->file()));
    std::vector<std::string> not_kept;
    GiveAttributes(part->file().fd(), entry, &not_kept);
    STRATA_RETURN_IF_ERROR(part->Commit(/*durable=*/false));
    NotKept(place.path, not_kept);
    Done(named, place.path, reader.size_bytes());
    return absl::OkStatus();
  }

  absl::Status CopyDirect(NamedReader& reader, PartFile* part) {
    const uint64_t size_bytes = reader.size_bytes();
    STRATA_ASSIGN_OR_RETURN(const auto file, RestoredFile::Create(part, size_bytes));
    for (uint64_t offset = 0; offset < size_bytes;) {
      STRATA_ASSIGN_OR_RETURN(const std::span<std::byte> piece, file->NextPiece());
      const size_t count = std::min<uint64_t>(piece.size(), size_bytes - offset);
      STRATA_RETURN_IF_ERROR(reader.ReadStream(offset, piece.first(count)));
      STRATA_RETURN_IF_ERROR(file->Write(count));
      offset += count;
      STRATA_RETURN_IF_ERROR(Advance(count));
    }
    return file->Finish();
  }

  absl::Status CopyPieces(NamedReader& reader, FileHandle& file) {
    uint64_t offset = 0;
    STRATA_RETURN_IF_ERROR(
        reader.ForEachPiece(&memory_, [&](std::span<const std::byte> piece, uint64_t hole_bytes) {
          if (hole_bytes == 0) STRATA_RETURN_IF_ERROR(file.WriteAt(offset, piece));
          offset += piece.size() + hole_bytes;
          return Advance(piece.size() + hole_bytes);
        }));
    return file.SetSize(offset);
  }

  // Folders get what is theirs last: what was made in them has changed their times, and a folder
  // may forbid its own filling. One that was there before stays as it is.
  void FinishFolders(FolderTree& tree, bool fresh,
                     const std::map<std::string, const CatalogueEntry*>& folders) {
    std::vector<std::string> made(tree.made().begin(), tree.made().end());
    if (fresh) made.insert(made.begin(), "");
    const mode_t mask = umask(0);
    umask(mask);
    for (auto relative = made.rbegin(); relative != made.rend(); ++relative) {
      const absl::StatusOr<FileHandle> folder = tree.OpenFolder(*relative, /*make=*/false);
      if (!folder.ok()) {
        failures_.Add(*relative, folder.status());
        continue;
      }
      const auto entry = folders.find(*relative);
      std::vector<std::string> not_kept;
      if (entry != folders.end()) {
        GiveAttributes(folder->fd(), *entry->second, &not_kept);
      } else if (!relative->empty() && fchmod(folder->fd(), 0777 & ~mask) != 0) {
        not_kept.push_back("mode");
      }
      NotKept(folder->path(), not_kept);
    }
  }

  // One flush for all files.
  static absl::Status Sync(FolderTree& tree) {
    STRATA_ASSIGN_OR_RETURN(const FileHandle top, tree.OpenFolder("", /*make=*/false));
    if (syncfs(top.fd()) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, absl::StrCat(tree.path(), ": cannot be made durable"));
  }

  absl::Status Advance(uint64_t bytes) {
    state_.done += bytes;
    return Report(progress_, state_);
  }

  void Done(const NamedEntry& named, const std::string& path, uint64_t size_bytes) {
    files_.push_back({{"name", JsonName(named.name)},
                      {"kind", std::string(dedup::EntryKindName(named.entry.kind))},
                      {"path", JsonName(path)},
                      {"size_bytes", size_bytes}});
  }

  void NotKept(const std::string& path, const std::vector<std::string>& what) {
    if (what.empty()) return;
    not_kept_.push_back({{"path", JsonName(path)}, {"what", absl::StrJoin(what, ", ")}});
  }

  const DedupRequest& request_;
  const dedup::ProgressCallback& progress_;
  dedup::Progress state_{.phase = "restoring"};
  std::vector<std::byte> memory_;
  std::unique_ptr<OpenedStore> store_;
  std::map<dedup::StreamId, std::string> links_;  // The first file of each, below the output.
  Failures failures_;
  Json files_ = Json::array();
  Json not_kept_ = Json::array();
};

}  // namespace

absl::StatusOr<Json> Restore(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  return Restoration(request, progress).Run();
}

}  // namespace strata::appliance
