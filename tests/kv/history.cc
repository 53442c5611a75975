// SPDX-License-Identifier: Apache-2.0
#include "history.h"

#include <utility>

namespace strata::kv {

std::string FindAnomaly(const std::vector<RecordedTransaction>& history) {
  std::map<uint64_t, size_t> index_of;
  for (size_t i = 0; i < history.size(); ++i) index_of[history[i].id] = i;

  // Who overwrote each version.
  std::map<std::pair<std::string, uint64_t>, size_t> next_writer;
  for (size_t i = 0; i < history.size(); ++i) {
    for (const auto& [key, writer] : history[i].reads) {
      if (writer != 0 && !index_of.contains(writer)) {
        return "transaction " + std::to_string(history[i].id) + " read " + key +
               " from a transaction that did not commit: " + std::to_string(writer);
      }
      if (!history[i].writes.contains(key)) continue;
      if (!next_writer.emplace(std::pair(key, writer), i).second) {
        return "two transactions overwrote the same version of " + key + ": an update was lost";
      }
    }
  }

  // An edge: this one comes first.
  std::vector<std::set<size_t>> after(history.size());
  for (size_t i = 0; i < history.size(); ++i) {
    for (const auto& [key, writer] : history[i].reads) {
      if (writer != 0) after[index_of[writer]].insert(i);
      const auto next = next_writer.find({key, writer});
      if (next != next_writer.end() && next->second != i) after[i].insert(next->second);
    }
    for (size_t j = 0; j < history.size(); ++j) {
      if (history[i].end < history[j].begin) after[i].insert(j);
    }
  }

  std::vector<size_t> before_count(history.size(), 0);
  for (const auto& targets : after) {
    for (size_t target : targets) ++before_count[target];
  }
  std::vector<size_t> ready;
  for (size_t i = 0; i < history.size(); ++i) {
    if (before_count[i] == 0) ready.push_back(i);
  }
  size_t ordered = 0;
  for (; !ready.empty(); ++ordered) {
    const size_t first = ready.back();
    ready.pop_back();
    for (size_t target : after[first]) {
      if (--before_count[target] == 0) ready.push_back(target);
    }
  }
  if (ordered == history.size()) return "";
  std::string stuck = "no serial order exists; a cycle runs through some of:";
  for (size_t i = 0; i < history.size(); ++i) {
    if (before_count[i] > 0) stuck += " " + std::to_string(history[i].id);
  }
  return stuck;
}

}  // namespace strata::kv
