// SPDX-License-Identifier: Apache-2.0
//
// The answers of strata dedup for people: tables, and bars of what was saved.
#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "appliance/json.h"
#include "command_line/answers.h"
#include "command_line/dedup/dedup_commands.h"
#include "command_line/quoted_text.h"

namespace strata::appliance {
namespace {

constexpr size_t kBarWidth = 40;

uint64_t NumberOf(const Json& json, const char* key) { return json.value(key, uint64_t{0}); }
std::string TextOf(const Json& json, const char* key) { return json.value(key, std::string()); }
std::string NameOf(const Json& json, const char* key) {
  return QuotedName(NameOfJson(TextOf(json, key)));
}

// "logical     ########################################  1.2 GiB"
std::string Bar(const std::string& name, uint64_t part, uint64_t whole) {
  const double share =
      whole == 0 ? 0 : std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  const auto full = static_cast<size_t>(std::lround(share * kBarWidth));
  return absl::StrFormat("%-12s %s%s  %10s\n", name, std::string(full, '#'),
                         std::string(kBarWidth - full, '.'), FormatSize(part));
}

std::string Saved(uint64_t stored, uint64_t logical) {
  if (logical == 0) return "";
  const double share = static_cast<double>(stored) / static_cast<double>(logical);
  return absl::StrFormat("%-12s %.1f %%\n", "saved", (1 - share) * 100);
}

std::string FormatScan(const Json& answer) {
  std::string text = absl::StrFormat("%d files", NumberOf(answer, "files"));
  const Json& algorithms = answer.at("algorithms");
  if (algorithms.empty()) return text + "\n";
  const uint64_t logical = NumberOf(algorithms[0], "logical_bytes");
  absl::StrAppend(&text, ", ", FormatSize(logical), "\n\n", Bar("as they are", logical, logical));
  for (const Json& row : algorithms) {
    std::string line = Bar(TextOf(row, "algorithm"), NumberOf(row, "unique_bytes"), logical);
    line.pop_back();
    absl::StrAppendFormat(&text, "%s  %5.2f : 1  %4.1f %% saved\n", line, row.value("ratio", 1.0),
                          row.value("savings", 0.0) * 100);
  }
  const auto best = std::max_element(
      algorithms.begin(), algorithms.end(),
      [](const Json& a, const Json& b) { return a.value("ratio", 1.0) < b.value("ratio", 1.0); });
  if (best->at("versions").size() < 2) return text;
  absl::StrAppend(&text, "\nnew bytes of each path, by ", TextOf(*best, "algorithm"), "\n");
  for (const Json& version : best->at("versions")) {
    std::string line = Bar("", NumberOf(version, "new_bytes"), NumberOf(version, "logical_bytes"));
    line.pop_back();
    absl::StrAppend(&text, line, " of ", FormatSize(NumberOf(version, "logical_bytes")), "  ",
                    NameOf(version, "name"), "\n");
  }
  return text;
}

std::string FormatIngest(const Json& answer) {
  const uint64_t logical = NumberOf(answer, "logical_bytes");
  const auto files = std::ranges::count_if(
      answer.at("streams"), [](const Json& stream) { return stream.contains("id"); });
  const auto others = static_cast<ptrdiff_t>(answer.at("streams").size()) - files;
  return absl::StrFormat(
             "%d streams%s\n\n", files,
             others == 0 ? "" : absl::StrCat(", ", others, " folders, links and such")) +
         Bar("read", logical, logical) + Bar("new", NumberOf(answer, "new_bytes"), logical) +
         Bar("stored", NumberOf(answer, "stored_bytes"), logical) +
         Saved(NumberOf(answer, "stored_bytes"), logical);
}

std::string FormatRestore(const Json& answer) {
  std::string text;
  for (const Json& file : answer.at("files")) {
    if (TextOf(file, "path") == "-") continue;  // Standard output is the file's own.
    absl::StrAppend(&text, FormatSize(NumberOf(file, "size_bytes")), "  ", NameOf(file, "path"),
                    "\n");
  }
  return text;
}

std::string Remark(const Json& stream) {
  if (stream.value("missing", false)) return "  (ITS STREAM WAS DELETED)";
  if (stream.contains("link_target")) return " -> " + NameOf(stream, "link_target");
  const std::string kind = TextOf(stream, "kind");
  return kind == "folder" ? "/" : kind == "file" ? "" : "  (" + kind + ")";
}

std::string FormatList(const Json& answer) {
  std::string text = absl::StrFormat("%12s  %12s  %s\n", "SIZE", "STORED", "NAME");
  for (const Json& stream : answer.at("streams")) {
    absl::StrAppendFormat(&text, "%12s  %12s  %s\n", FormatSize(NumberOf(stream, "size_bytes")),
                          FormatSize(NumberOf(stream, "stored_bytes")),
                          NameOf(stream, "name") + Remark(stream));
  }
  return text;
}

std::string FormatDelete(const Json& answer) {
  return absl::StrFormat("deleted %d streams; `strata dedup gc` frees their space\n",
                         answer.at("deleted").size());
}

std::string FormatVerify(const Json& answer) { return FormatAnswer("verify", answer); }

std::string FormatRebuilt(const Json& answer) { return FormatAnswer("rebuild-metadata", answer); }

std::string Deferred(const Json& answer) {
  const uint64_t deferred = NumberOf(answer, "deferred_bytes");
  if (deferred == 0) return "";
  return absl::StrFormat("%s await their compression; `strata dedup gc` does it\n",
                         FormatSize(deferred));
}

// "lincdc, chunks of 4.0 KiB to 16.0 KiB; zstd, level 1; not encrypted"
std::string Settings(const Json& answer) {
  const Json chunker = answer.value("chunker", Json::object());
  const Json ingest = answer.value("last_ingest", Json::object());
  const std::string compression =
      ingest.empty() ? "compression unknown"
                     : absl::StrCat(TextOf(ingest, "compression"), ", level ",
                                    ingest.value("level", 0), ", at the last ingest");
  return absl::StrFormat("%s, chunks of %s to %s, %s on average; %s; %s\n",
                         TextOf(chunker, "algorithm"), FormatSize(NumberOf(chunker, "min_bytes")),
                         FormatSize(NumberOf(chunker, "max_bytes")),
                         FormatSize(NumberOf(chunker, "avg_bytes")), compression,
                         answer.value("encrypted", false) ? "encrypted" : "not encrypted");
}

std::string FormatStat(const Json& answer) {
  const uint64_t logical = NumberOf(answer, "logical_bytes");
  return absl::StrFormat(
             "%s: %d streams, %d chunks (%s on average) in %d containers\n\n",
             TextOf(answer, "store"), NumberOf(answer, "streams"), NumberOf(answer, "chunks"),
             FormatSize(static_cast<uint64_t>(answer.value("average_chunk_bytes", 0.0))),
             NumberOf(answer, "containers")) +
         Bar("logical", logical, logical) +
         Bar("unique", NumberOf(answer, "unique_bytes"), logical) +
         Bar("compressed", NumberOf(answer, "compressed_bytes"), logical) +
         Bar("on disk", NumberOf(answer, "disk_bytes"), logical) +
         Saved(NumberOf(answer, "compressed_bytes"), logical) + Deferred(answer) +
         absl::StrFormat("\n%.2f : 1 by deduplication, %.2f : 1 by compression, %.2f : 1 in all\n",
                         answer.value("dedup_ratio", 1.0), answer.value("compression_ratio", 1.0),
                         answer.value("reduction_ratio", 1.0)) +
         Settings(answer);
}

std::string FormatRebuild(const Json&) { return "the chunk index is written\n"; }

std::string FormatCollect(const Json& answer) { return FormatAnswer("gc", answer); }

struct Formatter {
  const char* command;
  std::string (*format)(const Json&);
};

constexpr Formatter kFormatters[] = {
    {"dedup.scan", FormatScan},
    {"dedup.ingest", FormatIngest},
    {"dedup.restore", FormatRestore},
    {"dedup.list", FormatList},
    {"dedup.delete", FormatDelete},
    {"dedup.gc", FormatCollect},
    {"dedup.verify", FormatVerify},
    {"dedup.stat", FormatStat},
    {"dedup.rebuild-index", FormatRebuild},
    {"dedup.rebuild-metadata", FormatRebuilt},
};

}  // namespace

std::string FormatDedupAnswer(const std::string& command, const Json& answer) {
  for (const Formatter& formatter : kFormatters) {
    if (command == formatter.command) return formatter.format(answer);
  }
  return "done\n";
}

}  // namespace strata::appliance
