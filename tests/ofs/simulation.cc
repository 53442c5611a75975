// SPDX-License-Identifier: Apache-2.0
#include "simulation.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <utility>

#include "format/layout.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

constexpr int kDisks = 8;
constexpr uint64_t kDiskBytes = 48u << 20;
constexpr uint64_t kMostFileBytes = 900'000;
constexpr size_t kMostNodes = 24;
constexpr size_t kMostVersions = 40;
constexpr size_t kMostStates = 60;
constexpr size_t kMostHurt = 2;  // What 4+2 and mirror(3) survive.
constexpr uint64_t kHealStep = 1u << 20;
constexpr size_t kMostNotes = 60;

Bytes Overwritten(Bytes bytes, uint64_t offset, const Bytes& data) {
  if (bytes.size() < offset + data.size()) bytes.resize(offset + data.size());
  std::copy(data.begin(), data.end(), bytes.begin() + static_cast<ptrdiff_t>(offset));
  return bytes;
}

}  // namespace

Simulation::Simulation(uint64_t seed)
    : random_(seed), home_(kDisks, kDiskBytes, Protection::ReedSolomon(4, 2), seed), states_(1) {
  home_.clock = &clock_;
  home_.expected = {FindingKind::kAbsentDisk, FindingKind::kSuperblock};
  Open();
}

void Simulation::Note(const std::string& what, const absl::Status& status) {
  notes_.push_back(std::to_string(counts_.steps) + " " + what +
                   (status.ok() ? "" : ": " + std::string(status.message())));
  if (notes_.size() > kMostNotes) notes_.pop_front();
}

void Simulation::Open() {
  fs_.reset();
  hooked_.reset();
  home_.Crash();
  home_.CheckIsWell(/*read_data=*/false);
  home_.store = home_.kv->Open();
  hooked_ = std::make_unique<HookedStore>(home_.store.get());
  fs_ = Must(FileSystem::Open({.store = hooked_.get(),
                               .registry = &home_.registry,
                               .clock = &clock_,
                               .max_dirty_bytes = 4u << 20}));
  cut_is_near_ = false;
}

void Simulation::Step() {
  ++counts_.steps;
  clock_.now_ns += 100'000'000;
  if (states_.size() > kMostStates) {
    const absl::Status synced = fs_->SyncAll();
    if (synced.ok()) return EverythingIsDurable();
    return CutPower();
  }
  if (random_.Chance(0.06)) return RunMisfortune();
  if (random_.Chance(0.10)) return RunUpkeep();
  RunCall();
  if (cut_is_near_ && counts_.steps % 16 == 0) CutPower();
}

void Simulation::RunCall() {
  switch (random_.Uniform(16)) {
    case 0:
    case 1:
      return MakeNode(random_.Chance(0.3));
    case 2:
      return Remove();
    case 3:
      return Rename();
    case 4:
      return Link();
    case 5:
      return Cut();
    case 6:
      return Punch();
    case 7:
    case 8:
    case 9:
      return Read();
    case 10:
    case 11:
      return Sync();
    default:
      return Write();
  }
}

void Simulation::RunUpkeep() {
  const uint64_t which = random_.Uniform(4);
  if (which == 0) {
    HealReport report;
    const absl::Status status = fs_->maintenance().Heal(kHealStep, &report);
    Note("heal", status);
    if (!status.ok()) ++counts_.failed_calls;
    counts_.groups_moved += report.groups_moved;
    counts_.units_repaired += report.units_repaired;
    CHECK(report.stripes_lost == 0);
    return;
  }
  if (which == 1) {
    ScrubReport report;
    const absl::Status status = fs_->maintenance().Scrub(kHealStep, &report);
    Note("scrub", status);
    if (!status.ok()) ++counts_.failed_calls;
    counts_.units_repaired += report.units_repaired;
    CHECK(report.lost_ranges == 0);
    return;
  }
  clock_.now_ns += 3'000'000'000;
  const absl::Status status = fs_->Upkeep();
  Note("upkeep", status);
  if (status.ok()) {
    NamesAreDurable();
  } else {
    CHECK(!absl::IsDataLoss(status));
    INFO(status);
    ++counts_.failed_calls;
  }
}

// ---- Calls

uint64_t Simulation::InodeOf(const std::string& path) const {
  return path.empty() ? kRootInode : nodes_.at(tree().at(path)).inode;
}

uint64_t Simulation::ParentOf(const std::string& path) const {
  const size_t slash = path.find('/');
  return InodeOf(slash == std::string::npos ? "" : path.substr(0, slash));
}

// "": there is none.
std::string Simulation::RandomPath(const std::function<bool(const Node*)>& wanted) {
  std::vector<std::string> paths;
  for (const auto& [path, node] : tree()) {
    if (wanted(&nodes_.at(node))) paths.push_back(path);
  }
  return paths.empty() ? "" : paths[random_.Uniform(paths.size())];
}

std::string Simulation::FreshPath() {
  std::string directory = RandomPath([](const Node* node) { return node->is_directory; });
  if (!directory.empty() && random_.Chance(0.5)) directory.clear();
  const std::string name = "n" + std::to_string(random_.Uniform(kMostNodes));
  return directory.empty() ? name : directory + "/" + name;
}

void Simulation::TreeChanged(const absl::Status& status, Tree after,
                             std::map<int, size_t> least_version) {
  if (!status.ok()) {
    ++counts_.failed_calls;
    CHECK(!absl::IsDataLoss(status));
    // It may have happened all the same. In this session nobody can tell, so it ends.
    states_.push_back({std::move(after), std::move(least_version)});
    CutPower();
    return;
  }
  states_.push_back({std::move(after), std::move(least_version)});
}

void Simulation::FileChanged(int node, const absl::Status& status, Bytes after) {
  std::vector<Bytes>& versions = nodes_[node].versions;
  if (status.ok()) {
    versions.push_back(std::move(after));
    if (versions.size() > kMostVersions && fs_->Sync(nodes_[node].inode).ok()) {
      NamesAreDurable();
      FileIsDurable(node);
    }
    return;
  }
  ++counts_.failed_calls;
  CHECK(!absl::IsDataLoss(status));
  versions.push_back(std::move(after));
  CutPower();
}

void Simulation::MakeNode(bool is_directory) {
  const std::string path = is_directory ? "d" + std::to_string(random_.Uniform(4)) : FreshPath();
  if (tree().contains(path) || nodes_.size() > kMostNodes) return;
  const size_t slash = path.find('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const auto made =
      fs_->Make(ParentOf(path), name,
                {.type = is_directory ? FileType::kDirectory : FileType::kRegular, .mode = 0755});
  Note("make " + path, made.status());
  const int node = next_node_++;
  nodes_[node] = {.is_directory = is_directory,
                  .inode = made.ok() ? made->inode : 0,
                  .versions = std::vector<Bytes>(1)};
  Tree after = tree();
  after[path] = node;
  TreeChanged(made.status(), std::move(after), {});
}

void Simulation::Remove() {
  const std::string path = RandomPath([](const Node*) { return true; });
  if (path.empty()) return;
  const bool is_directory = nodes_.at(tree().at(path)).is_directory;
  const size_t slash = path.find('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const bool is_full =
      is_directory && std::any_of(tree().begin(), tree().end(),
                                  [&](const auto& e) { return e.first.starts_with(path + "/"); });
  const uint64_t parent = ParentOf(path);
  const absl::Status status =
      is_directory ? fs_->RemoveDirectory(parent, name) : fs_->Unlink(parent, name);
  Note("remove " + path, status);
  if (is_full) {
    if (status.ok() || ErrnoOf(status) != ENOTEMPTY) CutPower();
    CHECK(!status.ok());
    return;
  }
  Tree after = tree();
  after.erase(path);
  TreeChanged(status, std::move(after), {});
}

void Simulation::Rename() {
  const std::string from = RandomPath([](const Node* node) { return !node->is_directory; });
  if (from.empty()) return;
  std::string to = random_.Chance(0.5)
                       ? RandomPath([](const Node* node) { return !node->is_directory; })
                       : FreshPath();
  if (to == from || to.empty()) return;
  if (tree().contains(to) && nodes_.at(tree().at(to)).is_directory) return;
  const int node = tree().at(from);
  const bool is_same = tree().contains(to) && tree().at(to) == node;  // Nothing happens then.
  const auto name_of = [](const std::string& path) {
    const size_t slash = path.find('/');
    return slash == std::string::npos ? path : path.substr(slash + 1);
  };
  const bool replaces = tree().contains(to);
  const absl::Status status =
      fs_->Rename(ParentOf(from), name_of(from), ParentOf(to), name_of(to), RenameMode::kReplace);
  Note("rename " + from + " to " + to, status);
  Tree after = tree();
  if (!is_same) {
    after.erase(from);
    after[to] = node;
  }
  std::map<int, size_t> least;
  const Node& moved = nodes_.at(node);
  if (replaces && !is_same) least[node] = moved.dropped_versions + moved.versions.size() - 1;
  TreeChanged(status, std::move(after), std::move(least));
}

void Simulation::Link() {
  const std::string from = RandomPath([](const Node* node) { return !node->is_directory; });
  const std::string to = FreshPath();
  if (from.empty() || tree().contains(to)) return;
  const size_t slash = to.find('/');
  const auto linked = fs_->Link(InodeOf(from), ParentOf(to),
                                slash == std::string::npos ? to : to.substr(slash + 1), false);
  Note("link " + from + " as " + to, linked.status());
  Tree after = tree();
  after[to] = tree().at(from);
  TreeChanged(linked.status(), std::move(after), {});
}

void Simulation::Write() {
  const std::string path = RandomPath([](const Node* node) { return !node->is_directory; });
  if (path.empty()) return;
  const int node = tree().at(path);
  const uint64_t most = random_.Chance(0.2) ? 600'000 : random_.Chance(0.5) ? 70'000 : 3000;
  Bytes data = Pattern(random_.Next64(), 1 + random_.Uniform(most));
  const uint64_t offset =
      random_.Uniform(random_.Chance(0.5) ? 1 + nodes_[node].versions.back().size() : 100'000);
  if (offset + data.size() > kMostFileBytes) return;
  const absl::Status status = fs_->Write(nodes_[node].inode, offset, data);
  Note("write " + path + " from " + std::to_string(offset) + ", " + std::to_string(data.size()),
       status);
  FileChanged(node, status, Overwritten(nodes_[node].versions.back(), offset, data));
}

void Simulation::Cut() {
  const std::string path = RandomPath([](const Node* node) { return !node->is_directory; });
  if (path.empty()) return;
  const int node = tree().at(path);
  Bytes after = nodes_[node].versions.back();
  after.resize(random_.Uniform(random_.Chance(0.7) ? after.size() + 1 : 50'000));
  const absl::Status status =
      fs_->SetAttributes(nodes_[node].inode, {.size_bytes = after.size()}).status();
  Note("cut " + path + " to " + std::to_string(after.size()), status);
  FileChanged(node, status, std::move(after));
}

void Simulation::Punch() {
  const std::string path = RandomPath([](const Node* node) { return !node->is_directory; });
  if (path.empty()) return;
  const int node = tree().at(path);
  Bytes after = nodes_[node].versions.back();
  const uint64_t offset = random_.Uniform(after.size() + 1);
  const uint64_t length = 1 + random_.Uniform(100'000);
  const absl::Status status = fs_->PunchHole(nodes_[node].inode, offset, length);
  Note("punch " + path + " from " + std::to_string(offset) + ", " + std::to_string(length), status);
  for (uint64_t i = offset; i < std::min<uint64_t>(after.size(), offset + length); ++i) {
    after[i] = std::byte{};
  }
  FileChanged(node, status, std::move(after));
}

void Simulation::Read() {
  const std::string path = RandomPath([](const Node* node) { return !node->is_directory; });
  if (path.empty()) return;
  const Node& node = nodes_.at(tree().at(path));
  const Bytes& expected = node.versions.back();
  const uint64_t offset = random_.Uniform(expected.size() + 1);
  Bytes out(random_.Uniform(200'000));
  const auto read = fs_->Read(node.inode, offset, out);
  if (!read.ok()) {
    INFO(read.status());
    CHECK(cut_is_near_);
    ++counts_.failed_calls;
    return CutPower();
  }
  REQUIRE(*read == std::min<uint64_t>(out.size(), expected.size() - offset));
  REQUIRE(std::equal(out.begin(), out.begin() + static_cast<ptrdiff_t>(*read),
                     expected.begin() + static_cast<ptrdiff_t>(offset)));
}

void Simulation::Sync() {
  const std::string path = RandomPath([](const Node* node) { return !node->is_directory; });
  const bool all = path.empty() || random_.Chance(0.2);
  const absl::Status status = all ? fs_->SyncAll() : fs_->Sync(InodeOf(path));
  Note(all ? "sync" : "sync " + path, status);
  if (!status.ok()) {
    INFO(status);
    CHECK(!absl::IsDataLoss(status));
    ++counts_.failed_calls;
    if (cut_is_near_) CutPower();
    return;
  }
  if (all) return EverythingIsDurable();
  NamesAreDurable();
  FileIsDurable(tree().at(path));
}

// ---- What is durable

void Simulation::NamesAreDurable() {
  if (states_.size() > 1) states_.erase(states_.begin(), states_.end() - 1);
  std::set<int> named;
  for (const auto& [path, node] : tree()) named.insert(node);
  std::erase_if(nodes_, [&](const auto& entry) { return !named.contains(entry.first); });
}

void Simulation::FileIsDurable(int node) {
  Node& file = nodes_[node];
  file.dropped_versions += file.versions.size() - 1;
  file.versions.erase(file.versions.begin(), file.versions.end() - 1);
}

void Simulation::EverythingIsDurable() {
  NamesAreDurable();
  for (auto& [number, node] : nodes_) FileIsDurable(number);
}

// ---- Misfortune

void Simulation::RunMisfortune() {
  switch (random_.Uniform(10)) {
    case 0:
      return CrashProcess();
    case 1:
      return CutPower();
    case 2:
      return CloseInOrder();
    case 3:
    case 4:
      return Flip();
    case 5:
      return LoseDisk();
    case 6:
      return RecoverDisks();
    case 7:
      return Malfunction();
    default:
      return BreakSoon();
  }
}

void Simulation::CrashProcess() {
  ++counts_.crashes;
  Note("crash", absl::OkStatus());
  if (cut_is_near_) return CutPower();
  Open();
  Verify(/*exact=*/true);
}

void Simulation::CutPower() {
  ++counts_.power_cuts;
  Note("power cut", absl::OkStatus());
  fs_.reset();
  hooked_.reset();
  home_.CutPower(random_.Next64());
  // A disk without power forgets its faults; one that is gone stays gone.
  Open();
  Verify(/*exact=*/false);
}

void Simulation::CloseInOrder() {
  if (cut_is_near_) return CutPower();
  const absl::Status closed = fs_->Close();
  Note("close", closed);
  if (!closed.ok()) {
    INFO(closed);
    CHECK(!absl::IsDataLoss(closed));
    return CutPower();
  }
  EverythingIsDurable();
  Open();
  Verify(/*exact=*/true);
}

// One of the two disks that may be hurt.
size_t Simulation::DiskToHurt() {
  if (hurt_.size() < kMostHurt) hurt_.insert(1 + random_.Uniform(kDisks));
  return *std::next(hurt_.begin(), static_cast<long>(random_.Uniform(hurt_.size())));
}

// It refuses, lies or garbles, until the power fails or it recovers.
void Simulation::Malfunction() {
  const size_t disk = DiskToHurt();
  constexpr block::Fault::Kind kKinds[] = {block::Fault::Kind::kFail, block::Fault::Kind::kTear,
                                           block::Fault::Kind::kLose, block::Fault::Kind::kFlip};
  constexpr block::Op kOps[] = {block::Op::kRead, block::Op::kWrite, block::Op::kFlush};
  const block::Fault::Kind kind = kKinds[random_.Uniform(4)];
  const block::Op op = kOps[random_.Uniform(3)];
  Note("disk " + std::to_string(disk) + " malfunctions, in way " +
           std::to_string(static_cast<int>(kind)),
       absl::OkStatus());
  home_.disks[disk - 1]->Inject({.kind = kind, .op = op, .probability = 0.3});
}

// Something rots.
void Simulation::Flip() {
  const size_t disk = DiskToHurt();
  for (int i = 0; i < 50; ++i) {
    ++counts_.flips;
    const uint64_t blocks = kDiskBytes / kBlockBytes;
    const uint64_t first = 256;  // After the superblock's area, and before the second copy's.
    home_.disks[disk - 1]->FlipBitAtRest(block::Lba{first + random_.Uniform(blocks - first - 1)},
                                         random_.Uniform(8 * kBlockBytes));
  }
}

// It is gone with the next session, and its units are to be moved.
void Simulation::LoseDisk() {
  const size_t disk = DiskToHurt();
  if (random_.Chance(0.5)) home_.absent.insert(disk);
  const auto number = static_cast<uint32_t>(disk);
  const DiskState state = random_.Chance(0.5) ? DiskState::kFailed : DiskState::kDraining;
  const absl::Status changed = fs_->maintenance().SetDiskState(number, state, "misfortune");
  if (changed.ok()) return NamesAreDurable();
  ++counts_.failed_calls;
}

// All disks are here and online again, and whole when nothing is found any more.
void Simulation::RecoverDisks() {
  if (hurt_.empty() || cut_is_near_) return;
  home_.absent.clear();
  for (auto& disk : home_.disks) disk->ClearFaults();
  CloseInOrder();
  for (uint32_t disk = 1; disk <= kDisks; ++disk) {
    Must(fs_->maintenance().SetDiskState(disk, DiskState::kOnline, "well again"));
  }
  for (int round = 0;; ++round) {
    REQUIRE(round < 4);
    HealReport healed;
    while (!healed.is_done) Must(fs_->maintenance().Heal(64u << 20, &healed));
    ScrubReport scrubbed;
    while (!scrubbed.is_done) Must(fs_->maintenance().Scrub(64u << 20, &scrubbed));
    counts_.units_repaired += healed.units_repaired + scrubbed.units_repaired;
    CHECK(scrubbed.lost_ranges == 0);
    // The first one may have gone on in the middle.
    if (round > 0 && scrubbed.units_repaired == 0 && scrubbed.problems.empty()) break;
  }
  hurt_.clear();
}

// The power fails within the next writes or commits, or a commit fails.
void Simulation::BreakSoon() {
  if (cut_is_near_) return;
  const uint64_t which = random_.Uniform(3);
  Note("break soon, in way " + std::to_string(which), absl::OkStatus());
  if (which == 0) {
    cut_is_near_ = true;
    home_.disks[random_.Uniform(kDisks)]->CutPowerAfter(random_.Uniform(20));
  } else if (which == 1) {
    cut_is_near_ = true;
    home_.kv->CutPowerAfter(random_.Uniform(20), [this] {
      for (auto& disk : home_.disks) disk->CutPowerAfter(0);
    });
  } else {
    const uint64_t nth = random_.Uniform(10);
    const bool is_conflict = random_.Chance(0.5);
    // Another session was quicker; or the answer of the store was lost.
    hooked_->before_commit = [this, nth, is_conflict] {
      if (nth % 3 == 0 || is_conflict) {
        hooked_->next_commit = absl::AbortedError("a conflict");
        return;
      }
      const absl::Status lost = absl::UnavailableError("the answer of the store was lost");
      (nth % 2 == 0 ? hooked_->next_commit : hooked_->next_answer) = lost;
    };
  }
}

// ---- After a reopening

Simulation::Tree Simulation::ReadTree(std::map<std::string, uint64_t>* inodes) {
  Tree found;
  std::vector<std::pair<std::string, uint64_t>> directories = {{"", kRootInode}};
  while (!directories.empty()) {
    const auto [path, inode] = directories.back();
    directories.pop_back();
    for (uint64_t cookie = 0;;) {
      const DirectoryPage page = Must(fs_->ReadDirectory(inode, cookie, 100));
      for (const DirectoryEntry& entry : page.entries) {
        cookie = entry.cookie;
        if (entry.name == "." || entry.name == "..") continue;
        const std::string whole = path.empty() ? entry.name : path + "/" + entry.name;
        found[whole] = 0;
        (*inodes)[whole] = entry.inode;
        if (entry.type == FileType::kDirectory) directories.emplace_back(whole, entry.inode);
      }
      if (page.is_last) break;
    }
  }
  return found;
}

void Simulation::Verify(bool exact) {
  std::map<std::string, uint64_t> inodes;
  const Tree found = ReadTree(&inodes);
  const auto matches = [&](const Tree& tree) {
    return tree.size() == found.size() &&
           std::all_of(tree.begin(), tree.end(), [&](const auto& entry) {
             const auto it = inodes.find(entry.first);
             const uint64_t inode = nodes_.at(entry.second).inode;
             return it != inodes.end() && (inode == 0 || inode == it->second);
           });
  };
  size_t at = states_.size();
  while (at > 0 && !matches(states_[at - 1].tree)) --at;
  std::string history;
  for (const std::string& note : notes_) history += note + "\n";
  for (const auto& [path, inode] : inodes) history += path + " is " + std::to_string(inode) + "\n";
  INFO(history);
  REQUIRE(at > 0);
  if (exact) REQUIRE(at == states_.size());
  if (at < states_.size()) ++counts_.taken_back;
  // States that look alike: the data must be as new as the oldest of them asks.
  size_t oldest = at;
  while (oldest > 1 && matches(states_[oldest - 2].tree)) --oldest;
  std::map<int, size_t> least;
  for (size_t i = 0; i < oldest; ++i) {
    for (const auto& [node, version] : states_[i].least_version) {
      least[node] = std::max(least[node], version);
    }
  }
  TreeState now{states_[at - 1].tree, {}};
  states_.assign(1, std::move(now));
  for (const auto& [path, node] : tree()) nodes_.at(node).inode = inodes.at(path);
  NamesAreDurable();
  for (auto& [number, node] : nodes_) {
    if (!node.is_directory) VerifyFile(number, least[number]);
  }
}

void Simulation::VerifyFile(int number, size_t least_version) {
  Node& node = nodes_.at(number);
  const Bytes now = ReadAll(*fs_, node.inode);
  std::vector<Bytes>& versions = node.versions;
  const size_t skipped =
      least_version > node.dropped_versions ? least_version - node.dropped_versions : 0;
  REQUIRE(skipped < versions.size());
  versions.erase(versions.begin(), versions.begin() + static_cast<ptrdiff_t>(skipped));
  const bool has_size = std::any_of(versions.begin(), versions.end(), [&](const Bytes& version) {
    return version.size() == now.size();
  });
  std::string sizes;
  for (const Bytes& version : versions) sizes += " " + std::to_string(version.size());
  INFO("inode " << node.inode << " has " << now.size() << " bytes; allowed:" << sizes);
  REQUIRE(has_size);
  if (std::find(versions.begin(), versions.end(), now) == versions.end()) {
    for (size_t i = 0; i < now.size(); ++i) {
      // What was beyond the end is zero where the file was made longer and its data did not come.
      const bool is_right =
          std::any_of(versions.begin(), versions.end(), [&](const Bytes& version) {
            return now[i] == (i < version.size() ? version[i] : std::byte{});
          });
      if (!is_right) FAIL("byte " << i << " is nobody's");
    }
  }
  node.dropped_versions += skipped + versions.size() - 1;
  versions.assign(1, now);
}

void Simulation::Finish() {
  CutPower();
  hurt_.insert(1);  // So that RecoverDisks() looks at everything.
  RecoverDisks();
  Must(fs_->Close());
}

}  // namespace strata::ofs
