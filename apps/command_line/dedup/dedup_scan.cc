// SPDX-License-Identifier: Apache-2.0
#include "command_line/dedup/dedup_scan.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>

#include "appliance/json.h"
#include "command_line/dedup/dedup_catalogue.h"
#include "command_line/dedup/input_files.h"
#include "command_line/quoted_text.h"
#include "strata/base/status_macros.h"
#include "strata/dedup/fingerprint.h"

namespace strata::appliance {
namespace {

// Counts what one algorithm finds.
class Count {
 public:
  explicit Count(std::unique_ptr<const dedup::Chunker> chunker) : chunker_(std::move(chunker)) {}

  void BeginVersion(const std::string& name) { versions_.push_back({name, 0, 0}); }

  void Take(std::span<const std::byte> data) {
    pending_.insert(pending_.end(), data.begin(), data.end());
    Cut(/*last=*/false);
  }
  void EndFile() { Cut(/*last=*/true); }

  Json Answer() const {
    uint64_t logical = 0;
    uint64_t unique = 0;
    Json versions = Json::array();
    for (const Version& version : versions_) {
      logical += version.logical_bytes;
      unique += version.new_bytes;
      versions.push_back({{"name", version.name},
                          {"logical_bytes", version.logical_bytes},
                          {"new_bytes", version.new_bytes}});
    }
    const double whole = static_cast<double>(logical);
    return {{"algorithm", std::string(dedup::ChunkAlgorithmName(chunker_->options().algorithm))},
            {"logical_bytes", logical},
            {"unique_bytes", unique},
            {"chunks", chunks_},
            {"unique_chunks", seen_.size()},
            {"ratio", unique == 0 ? 1.0 : whole / static_cast<double>(unique)},
            {"savings", logical == 0 ? 0.0 : 1 - static_cast<double>(unique) / whole},
            {"versions", std::move(versions)}};
  }

 private:
  struct Version {
    std::string name;
    uint64_t logical_bytes;
    uint64_t new_bytes;
  };

  void Cut(bool last) {
    lengths_.clear();
    const size_t consumed = chunker_->Split(pending_, last, &lengths_);
    spans_.clear();
    std::span<const std::byte> rest = pending_;
    for (const uint32_t length : lengths_) {
      spans_.push_back(rest.first(length));
      rest = rest.subspan(length);
    }
    fingerprints_.resize(spans_.size());
    dedup::FingerprintMany(spans_, fingerprints_);
    Version& version = versions_.back();
    for (size_t i = 0; i < spans_.size(); ++i) {
      version.logical_bytes += lengths_[i];
      if (seen_.insert(fingerprints_[i]).second) version.new_bytes += lengths_[i];
    }
    chunks_ += spans_.size();
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(consumed));
  }

  std::unique_ptr<const dedup::Chunker> chunker_;
  std::vector<Version> versions_;
  std::unordered_set<dedup::Fingerprint, dedup::FingerprintHash> seen_;
  uint64_t chunks_ = 0;
  std::vector<std::byte> pending_;
  std::vector<uint32_t> lengths_;
  std::vector<std::span<const std::byte>> spans_;
  std::vector<dedup::Fingerprint> fingerprints_;
};

absl::Status ReadFile(InputTree& tree, const InputFile& file,
                      const std::function<absl::Status(std::span<const std::byte>)>& take) {
  STRATA_ASSIGN_OR_RETURN(const FileHandle opened, tree.OpenToRead(file));
  return ReadContent(opened, take).status();
}

}  // namespace

absl::StatusOr<Json> ScanFiles(const std::vector<std::string>& paths,
                               const std::vector<dedup::ChunkerOptions>& chunkers,
                               const dedup::ProgressCallback& progress) {
  std::vector<Count> counts;
  for (const dedup::ChunkerOptions& options : chunkers) {
    STRATA_ASSIGN_OR_RETURN(auto chunker, dedup::CreateChunker(options));
    counts.emplace_back(std::move(chunker));
  }
  std::vector<InputTree> versions;
  std::vector<std::string> names;
  Failures failures;
  dedup::Progress state{.phase = "scanning"};
  uint64_t file_count = 0;
  for (const std::string& path : paths) {
    absl::StatusOr<InputTree> tree = InputTree::Open(path);
    if (!tree.ok()) {
      failures.Add(path, tree.status());
      continue;
    }
    for (const absl::Status& status : tree->failures()) failures.Add(path, status);
    for (const InputFile& file : tree->files()) {
      if (file.has_content()) state.total += static_cast<uint64_t>(file.info.st_size);
    }
    versions.push_back(*std::move(tree));
    names.push_back(path);
  }
  for (size_t i = 0; i < versions.size(); ++i) {
    for (Count& count : counts) count.BeginVersion(JsonName(names[i]));
    for (const InputFile& file : versions[i].files()) {
      if (!file.has_content()) continue;
      const absl::Status status =
          ReadFile(versions[i], file, [&](std::span<const std::byte> piece) {
            for (Count& count : counts) count.Take(piece);
            state.done += piece.size();
            return Report(progress, state);
          });
      for (Count& count : counts) count.EndFile();
      if (status.ok()) {
        ++file_count;
      } else if (!failures.Add(file.path, status)) {
        return status;
      }
    }
  }
  Json algorithms = Json::array();
  for (const Count& count : counts) algorithms.push_back(count.Answer());
  return failures.Finish(Json{{"files", file_count}, {"algorithms", std::move(algorithms)}},
                         /*nothing_done=*/file_count == 0);
}

}  // namespace strata::appliance
