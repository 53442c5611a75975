// SPDX-License-Identifier: Apache-2.0
//
// strata dedup ingest. Files are committed in groups: one flush and one transaction make many of
// them durable, names and streams together.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "appliance/json.h"
#include "command_line/dedup/dedup_catalogue.h"
#include "command_line/dedup/file_attributes.h"
#include "command_line/dedup/input_files.h"
#include "command_line/quoted_text.h"
#include "strata/base/status_macros.h"

namespace strata::appliance {
namespace {

using dedup::CatalogueChange;
using dedup::CatalogueEntry;
using dedup::EntryKind;
using dedup::StreamInfo;
using Clock = std::chrono::steady_clock;

// A group ends with the first of these that it reaches.
constexpr size_t kMaxGroupEntries = 2000;
constexpr uint64_t kMaxGroupBytes = 64u << 20;
constexpr size_t kMaxGroupRecordBytes = 8u << 20;  // What their entries take.
constexpr std::chrono::seconds kMaxGroupTime{3};
constexpr uint64_t kMinLongBytes = 16u << 20;  // Such a file makes no other one wait for it.

size_t RecordBytes(const std::string& name, const CatalogueEntry& entry) {
  size_t bytes = 4096 + name.size() + entry.link_target.size() + 20 * entry.holes.size();
  for (const auto& [xattr, value] : entry.xattrs) bytes += xattr.size() + value.size();
  return bytes;
}

// Entries that wait for their commit.
class Group {
 public:
  explicit Group(OpenedStore* store) : store_(*store), writers_(store->store().NewWriterGroup()) {}

  dedup::WriterGroup& writers() { return *writers_; }
  bool empty() const { return change_.add.empty(); }
  bool Holds(const std::string& name) const { return names_.contains(name); }
  bool Full() const {
    return change_.add.size() >= kMaxGroupEntries || bytes_ >= kMaxGroupBytes ||
           record_bytes_ >= kMaxGroupRecordBytes ||
           (!empty() && Clock::now() - begin_ > kMaxGroupTime);
  }

  // Null: the entry has no stream.
  void Add(std::string name, CatalogueEntry entry, std::unique_ptr<dedup::Writer> writer) {
    if (empty()) begin_ = Clock::now();
    bytes_ += entry.size_bytes;
    record_bytes_ += RecordBytes(name, entry);
    names_.insert(name);
    change_.add.push_back({std::move(name), std::move(entry), writer.get()});
    if (writer != nullptr) held_.push_back(std::move(writer));
  }

  // Durably; appends to *streams and *sum what was stored.
  absl::Status Commit(bool replace, Json* streams, StreamInfo* sum) {
    if (empty()) return absl::OkStatus();
    change_.replace = replace;
    STRATA_RETURN_IF_ERROR(writers_->Prepare());
    STRATA_RETURN_IF_ERROR(store_.catalogue().Commit(change_, kv::Durability::kSync));
    for (CatalogueChange::Addition& addition : change_.add) {
      StreamInfo info;
      if (addition.writer != nullptr) {
        STRATA_ASSIGN_OR_RETURN(info, addition.writer->Prepare());
        addition.entry.stream = info.id;
        sum->size_bytes += info.size_bytes;
        sum->new_chunk_bytes += info.new_chunk_bytes;
        sum->new_stored_bytes += info.new_stored_bytes;
      }
      Json json = EntryJson({addition.name, addition.entry});
      json["chunks"] = info.chunk_count;
      json["new_bytes"] = info.new_chunk_bytes;
      json["stored_bytes"] = info.new_stored_bytes;
      streams->push_back(std::move(json));
    }
    change_ = {};
    names_.clear();
    held_.clear();
    bytes_ = 0;
    record_bytes_ = 0;
    return absl::OkStatus();
  }

 private:
  OpenedStore& store_;
  const std::unique_ptr<dedup::WriterGroup> writers_;
  std::vector<std::unique_ptr<dedup::Writer>> held_;
  CatalogueChange change_;
  std::set<std::string> names_;
  uint64_t bytes_ = 0;
  size_t record_bytes_ = 0;
  Clock::time_point begin_;
};

struct Operand {
  std::string name;  // Of the stream or folder.
  InputTree tree;
};

class Ingestion {
 public:
  Ingestion(const DedupRequest& request, const dedup::ProgressCallback& progress)
      : request_(request), progress_(progress) {}

  absl::StatusOr<Json> Run() {
    STRATA_RETURN_IF_ERROR(FindFiles());
    if (operands_.empty()) return failures_.Finish(Answer(), /*nothing_done=*/true);
    STRATA_ASSIGN_OR_RETURN(store_, OpenedStore::Open(request_, Access::kCreate));
    STRATA_RETURN_IF_ERROR(RememberCompression());
    group_ = std::make_unique<Group>(store_.get());
    for (Operand& operand : operands_) {
      const absl::Status status = AddAll(operand);
      // What is complete when a run is cut short is kept.
      if (absl::IsCancelled(status)) (void)Commit();
      STRATA_RETURN_IF_ERROR(status);
    }
    STRATA_RETURN_IF_ERROR(Commit());
    const bool nothing_done = streams_.empty();
    return failures_.Finish(Answer(), nothing_done);
  }

 private:
  absl::Status FindFiles() {
    if (!request_.name.empty() && request_.operands.size() > 1) {
      return absl::InvalidArgumentError("one name cannot be that of several paths");
    }
    // A store below a folder that it takes in would never come to an end.
    std::set<InputTree::FolderId> left_out;
    struct stat own {};
    if (stat(request_.directory.path.c_str(), &own) == 0) {
      left_out.insert({own.st_dev, own.st_ino});
    }
    for (const std::string& path : request_.operands) {
      if (path == "-" && request_.name.empty()) {
        return absl::InvalidArgumentError("standard input has no name: give --name");
      }
      absl::StatusOr<InputTree> tree = InputTree::Open(path, left_out);
      if (!tree.ok()) {
        failures_.Add(path, tree.status());
        continue;
      }
      for (const absl::Status& status : tree->failures()) failures_.Add(path, status);
      for (const std::string& folder : tree->left_out()) {
        NotKept(folder, {"the store itself is not taken in"});
      }
      for (const InputFile& file : tree->files()) {
        if (!file.has_content()) continue;
        state_.total += std::min(static_cast<uint64_t>(file.info.st_size),
                                 static_cast<uint64_t>(file.info.st_blocks) * 512);
      }
      std::string name = request_.name.empty() ? path : request_.name;
      while (name.size() > 1 && name.ends_with('/')) name.pop_back();
      operands_.push_back({std::move(name), *std::move(tree)});
    }
    return absl::OkStatus();
  }

  absl::Status RememberCompression() {
    const dedup::StoreOptions& options = request_.directory.store;
    const Json settings = {{"compression", CompressionName(options.compression)},
                           {"level", options.compression_level},
                           {"region_bytes", options.region_bytes},
                           {"deferred", options.defer_compression}};
    return store_->RememberSettings(settings);
  }

  absl::Status AddAll(Operand& operand) {
    const bool folder = S_ISDIR(operand.tree.files().front().info.st_mode);
    if (folder && !request_.force && NameExists(operand.name)) {
      return Fail(operand.name, AlreadyThere(operand.name));
    }
    for (const InputFile& file : operand.tree.files()) {
      std::string name = operand.name;
      if (!file.relative.empty()) {
        absl::StrAppend(&name, name.ends_with('/') ? "" : "/", file.relative);
      }
      STRATA_RETURN_IF_ERROR(Report(progress_, state_));
      STRATA_RETURN_IF_ERROR(Fail(name, AddOne(operand.tree, file, name)));
      STRATA_RETURN_IF_ERROR(store_failure_);
      if (group_->Full()) STRATA_RETURN_IF_ERROR(Commit());
    }
    return absl::OkStatus();
  }

  // An error is the one file's, unless the store failed as well.
  absl::Status AddOne(InputTree& tree, const InputFile& file, const std::string& name) {
    STRATA_RETURN_IF_ERROR(dedup::CheckCatalogueName(name));
    const bool long_one = static_cast<uint64_t>(file.info.st_size) >= kMinLongBytes ||
                          (file.has_content() && !S_ISREG(file.info.st_mode));
    if (long_one || (request_.force && group_->Holds(name))) {
      store_failure_ = Commit();
      STRATA_RETURN_IF_ERROR(store_failure_);
    }
    if (!request_.force && (group_->Holds(name) || NameExists(name))) return AlreadyThere(name);
    CatalogueEntry entry;
    std::vector<std::string> not_kept;
    if (file.has_content()) {
      return AddContent(tree, file, name, std::move(entry));
    }
    if (!TakeAttributes(file.info, &entry)) {
      NotKept(file.path, {"a socket"});
      return absl::OkStatus();
    }
    if (entry.kind == EntryKind::kSymlink) {
      STRATA_ASSIGN_OR_RETURN(entry.link_target, tree.ReadLink(file));
    } else if (entry.kind == EntryKind::kFolder) {
      const absl::StatusOr<FileHandle> opened = tree.OpenToRead(file);
      if (opened.ok()) TakeXattrs(opened->fd(), &entry, &not_kept);
    }
    NotKept(file.path, not_kept);
    group_->Add(name, std::move(entry), nullptr);
    return absl::OkStatus();
  }

  absl::Status AddContent(InputTree& tree, const InputFile& file, const std::string& name,
                          CatalogueEntry entry) {
    STRATA_ASSIGN_OR_RETURN(const FileHandle opened, tree.OpenToRead(file));
    std::vector<std::string> not_kept;
    struct stat info {};
    if (fstat(opened.fd(), &info) == 0 && S_ISREG(info.st_mode) && file.path != "-") {
      TakeAttributes(info, &entry);
      TakeXattrs(opened.fd(), &entry, &not_kept);
      if (info.st_nlink > 1) entry.link_id = LinkId(info);
    }
    std::unique_ptr<dedup::Writer> writer = group_->writers().NewWriter();
    const auto keep = [&](const absl::Status& status) {
      if (!status.ok()) store_failure_ = store_->Of(name, status);
      return store_failure_;
    };
    STRATA_ASSIGN_OR_RETURN(const ContentRead content,
                            ReadContent(opened, [&](std::span<const std::byte> piece) {
                              STRATA_RETURN_IF_ERROR(keep(writer->Write(piece)));
                              state_.done += piece.size();
                              return Report(progress_, state_);
                            }));
    STRATA_RETURN_IF_ERROR(keep(writer->Prepare().status()));
    entry.size_bytes = content.size_bytes;
    entry.holes = content.holes;
    if (content.changed) changed_.push_back(JsonName(file.path));
    NotKept(file.path, not_kept);
    group_->Add(name, std::move(entry), std::move(writer));
    return absl::OkStatus();
  }

  dedup::StreamId LinkId(const struct stat& info) {
    const auto [entry, fresh] = links_.try_emplace({info.st_dev, info.st_ino});
    if (fresh) entry->second = store_->store().NewStreamId();
    return entry->second;
  }

  bool NameExists(const std::string& name) {
    return !absl::IsNotFound(store_->catalogue().Get(name).status());
  }
  absl::Status AlreadyThere(const std::string& name) {
    return absl::AlreadyExistsError(
        absl::StrCat(request_.directory.path, ": there is a stream '", name, "' already"));
  }

  // Passes on what ends the run.
  absl::Status Fail(const std::string& name, const absl::Status& status) {
    if (status.ok() || !store_failure_.ok()) return status;
    if (failures_.Add(name, status)) return absl::OkStatus();
    return status;
  }

  void NotKept(const std::string& path, const std::vector<std::string>& what) {
    if (what.empty()) return;
    not_kept_.push_back({{"path", JsonName(path)}, {"what", absl::StrJoin(what, ", ")}});
  }

  absl::Status Commit() {
    const absl::Status status = group_->Commit(request_.force, &streams_, &sum_);
    return status.ok() ? status : store_->Of("", status);
  }

  Json Answer() {
    return {{"streams", streams_},
            {"logical_bytes", sum_.size_bytes},
            {"new_bytes", sum_.new_chunk_bytes},
            {"stored_bytes", sum_.new_stored_bytes},
            {"changed", changed_},
            {"not_kept", not_kept_}};
  }

  const DedupRequest& request_;
  const dedup::ProgressCallback& progress_;
  dedup::Progress state_{.phase = "ingesting"};
  std::vector<Operand> operands_;
  std::unique_ptr<OpenedStore> store_;
  std::unique_ptr<Group> group_;
  std::map<std::pair<dev_t, ino_t>, dedup::StreamId> links_;
  absl::Status store_failure_;
  Failures failures_;
  StreamInfo sum_;
  Json streams_ = Json::array();
  Json changed_ = Json::array();
  Json not_kept_ = Json::array();
};

}  // namespace

absl::StatusOr<Json> Ingest(const DedupRequest& request, const dedup::ProgressCallback& progress) {
  return Ingestion(request, progress).Run();
}

}  // namespace strata::appliance
