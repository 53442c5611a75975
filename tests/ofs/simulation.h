// SPDX-License-Identifier: Apache-2.0
//
// A filesystem, its user, its operator and its misfortune, by one seed. After each misfortune the
// filesystem must be in a state that its promises allow:
//
//   names      those after one of the calls since the last one that was durable
//   a file     each byte, and the size, as some call since the last durable one left it; zero
//              where the file ended then
//   disks      whatever happened to any two of them
//
// Thread safety: one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "home.h"
#include "hooked_store.h"
#include "strata/base/random.h"
#include "support/manual_clock.h"

namespace strata::ofs {

class Simulation final {
 public:
  explicit Simulation(uint64_t seed);

  // One call, or one misfortune.
  void Step();
  // Ends in order, opens once more, and looks at everything.
  void Finish();

  struct Counts {
    uint64_t steps = 0;
    uint64_t crashes = 0;
    uint64_t power_cuts = 0;
    uint64_t failed_calls = 0;
    uint64_t groups_moved = 0;
    uint64_t units_repaired = 0;
    uint64_t flips = 0;
    uint64_t taken_back = 0;  // Power cuts that took calls on names back.
  };
  const Counts& counts() const { return counts_; }

 private:
  using Tree = std::map<std::string, int>;  // Paths, "a" or "a/b", to nodes.
  struct Node {
    bool is_directory = false;
    uint64_t inode = 0;             // 0: not known, since the call that made it failed.
    std::vector<Bytes> versions{};  // Of a file: what a crash may bring back, and now, last.
    size_t dropped_versions = 0;    // That were before the first of them.
  };
  // The names after a call, and how new the data of some files must be wherever these are found.
  struct TreeState {
    Tree tree;
    std::map<int, size_t> least_version;  // Counted with the dropped ones.
  };

  // What was done, for whoever reads about a failure.
  void Note(const std::string& what, const absl::Status& status);

  void Open();
  void RunCall();
  void RunMisfortune();
  void RunUpkeep();

  void MakeNode(bool is_directory);
  void Remove();
  void Rename();
  void Link();
  void Write();
  void Cut();
  void Punch();
  void Read();
  void Sync();

  // What a call that fails may have left: the tree or the file as before it, or as after it.
  void TreeChanged(const absl::Status& status, Tree after, std::map<int, size_t> least_version);
  void FileChanged(int node, const absl::Status& status, Bytes after);
  void NamesAreDurable();
  void FileIsDurable(int node);
  void EverythingIsDurable();

  void CrashProcess();
  void CutPower();
  void CloseInOrder();
  size_t DiskToHurt();
  void Malfunction();
  void Flip();
  void LoseDisk();
  void RecoverDisks();
  void BreakSoon();

  // After a reopening. `exact`: the names are those of the last call.
  void Verify(bool exact);
  Tree ReadTree(std::map<std::string, uint64_t>* inodes);
  void VerifyFile(int node, size_t least_version);

  const Tree& tree() const { return states_.back().tree; }
  uint64_t InodeOf(const std::string& path) const;  // "": the root.
  uint64_t ParentOf(const std::string& path) const;
  std::string RandomPath(const std::function<bool(const Node*)>& wanted);
  std::string FreshPath();

  Random random_;
  Home home_;
  test::ManualClock clock_;
  std::unique_ptr<HookedStore> hooked_;
  std::unique_ptr<FileSystem> fs_;
  std::map<int, Node> nodes_;
  int next_node_ = 1;
  std::vector<TreeState> states_;  // The last durable one, and those after it.
  std::set<size_t> hurt_;          // Disks, by number; no more than two.
  bool cut_is_near_ = false;
  std::deque<std::string> notes_;
  Counts counts_;
};

}  // namespace strata::ofs
