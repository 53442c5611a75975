// SPDX-License-Identifier: Apache-2.0
#include "dedup_scan.h"

#include <algorithm>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>

#include "input_files.h"
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

}  // namespace

absl::StatusOr<Json> ScanFiles(const std::vector<std::string>& paths,
                               const std::vector<dedup::ChunkerOptions>& chunkers,
                               const dedup::ProgressCallback& progress) {
  std::vector<Count> counts;
  for (const dedup::ChunkerOptions& options : chunkers) {
    STRATA_ASSIGN_OR_RETURN(auto chunker, dedup::CreateChunker(options));
    counts.emplace_back(std::move(chunker));
  }
  std::vector<std::vector<InputFile>> versions;
  dedup::Progress state{.phase = "scanning"};
  uint64_t file_count = 0;
  for (const std::string& path : paths) {
    STRATA_ASSIGN_OR_RETURN(std::vector<InputFile> files, FilesUnder(path));
    for (const InputFile& file : files) state.total += file.size_bytes;
    file_count += files.size();
    versions.push_back(std::move(files));
  }
  for (size_t i = 0; i < versions.size(); ++i) {
    for (Count& count : counts) count.BeginVersion(paths[i]);
    for (const InputFile& file : versions[i]) {
      STRATA_RETURN_IF_ERROR(ReadPieces(file.path, [&](std::span<const std::byte> piece) {
        for (Count& count : counts) count.Take(piece);
        state.done += piece.size();
        return progress(state) ? absl::OkStatus() : absl::CancelledError("interrupted");
      }));
      for (Count& count : counts) count.EndFile();
    }
  }
  Json algorithms = Json::array();
  for (const Count& count : counts) algorithms.push_back(count.Answer());
  return Json{{"files", file_count}, {"algorithms", std::move(algorithms)}};
}

}  // namespace strata::appliance
