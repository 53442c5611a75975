// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/ofs_answers.h"

#include "absl/strings/str_cat.h"
#include "appliance/json.h"
#include "command_line/answers.h"
#include "command_line/quoted_text.h"
#include "command_line/text_table.h"

namespace strata::appliance {
namespace {

std::string NameIn(const Json& answer, const char* key) {
  return QuotedName(answer.value(key, ""));
}

std::string SizeIn(const Json& answer, const char* key) {
  return FormatSize(answer.value(key, uint64_t{0}));
}

}  // namespace

namespace {

std::string Errors(const Json& disk) {
  std::string text;
  for (const auto& [key, name] :
       std::initializer_list<std::pair<const char*, const char*>>{{"read_errors", "read"},
                                                                  {"write_errors", "write"},
                                                                  {"flush_errors", "flush"},
                                                                  {"wrong_checksums", "checksum"},
                                                                  {"wrong_heads", "head"}}) {
    const uint64_t count = disk.value(key, uint64_t{0});
    if (count > 0) absl::StrAppend(&text, text.empty() ? "" : ", ", count, " ", name);
  }
  return text.empty() ? "-" : text;
}

std::string FormatDisks(const Json& disks) {
  TextTable table({"disk", "device", "domain", "class", "state", "size", "free", "errors"}, 5);
  std::string notes;
  for (const Json& disk : disks) {
    std::string state = disk.value("state", "");
    const bool is_removed = state == "removed";
    if (!disk.value("present", false) && !is_removed) state += ", absent";
    if (disk.value("present", false) && !disk.value("takes_writes", false)) state += ", read-only";
    const std::string number = absl::StrCat(disk.value("number", 0));
    table.Add({number, NameIn(disk, "uri"), QuotedName(disk.value("domain", "")),
               disk.value("class", ""), state, SizeIn(disk, "total_bytes"),
               SizeIn(disk, "free_bytes"), Errors(disk)});
    const std::string reason = disk.value("reason", "");
    if (reason.empty()) continue;
    // Why a disk is absent begins with its number.
    const std::string name = absl::StrCat("disk ", number);
    if (!reason.starts_with(name + " ")) absl::StrAppend(&notes, name, ": ");
    absl::StrAppend(&notes, PrintableText(reason), "\n");
  }
  return table.Print() + notes;
}

std::string FormatProblems(const Json& answer) {
  std::string text;
  for (const Json& problem : answer.value("problems", Json::array())) {
    absl::StrAppend(&text, "  ", PrintableText(problem.get<std::string>()), "\n");
  }
  return text;
}

std::string FormatLeft(const Json& answer) {
  const uint64_t left = answer.value("groups_left", uint64_t{0});
  std::string text =
      left == 0 ? "nothing is left to be moved off failed or draining disks\n"
                : absl::StrCat(left, " groups are left to be moved off failed or draining disks\n");
  absl::StrAppend(&text, FormatProblems(answer));
  for (const Json& disk : answer.value("absent_disks", Json::array())) {
    absl::StrAppend(&text, "  disk ", disk.get<uint64_t>(),
                    " cannot be used and does not count as failed yet: disk fail or disk replace "
                    "says that it has\n");
  }
  return text;
}

std::string FormatHealing(const Json& answer) {
  if (!answer.contains("groups_moved")) return FormatLeft(answer);
  const uint64_t lost = answer.value("stripes_lost", uint64_t{0});
  return absl::StrCat(answer.value("groups_moved", uint64_t{0}), " groups moved, ",
                      answer.value("units_repaired", uint64_t{0}), " units repaired, ",
                      SizeIn(answer, "bytes_written"), " written\n",
                      lost > 0 ? absl::StrCat(lost,
                                              " stripes are lost: strata ofs scrub names "
                                              "the files\n")
                               : "",
                      FormatLeft(answer));
}

std::string FormatScrub(const Json& answer) {
  std::string text = absl::StrCat(
      answer.value("groups", uint64_t{0}), " groups read, ", SizeIn(answer, "bytes_read"), ", ",
      answer.value("units_repaired", uint64_t{0}), " units repaired\n", FormatProblems(answer));
  const uint64_t skipped = answer.value("groups_skipped", uint64_t{0});
  if (skipped > 0) absl::StrAppend(&text, skipped, " groups were in use and skipped\n");
  const uint64_t lost = answer.value("lost_ranges", uint64_t{0});
  if (lost == 0) return text + "nothing is lost\n";
  absl::StrAppend(&text, lost, " ranges are lost:\n");
  for (const Json& range : answer.value("lost", Json::array())) {
    const std::string path = range.value("path", "");
    absl::StrAppend(
        &text, "  ",
        path.empty() ? absl::StrCat("inode ", range.value("inode", uint64_t{0})) : QuotedName(path),
        ": ", range.value("bytes", uint64_t{0}), " bytes at ", range.value("offset", uint64_t{0}),
        "\n");
  }
  return text;
}

std::string FormatCheck(const Json& answer) {
  const auto number = [&](const char* key) { return answer.value(key, uint64_t{0}); };
  std::string text =
      absl::StrCat(number("inodes"), " inodes, ", number("names"), " names, ", number("extents"),
                   " extents, ", number("groups"), " groups, ", number("stripes"), " stripes, ",
                   SizeIn(answer, "bytes_read"), " read\n");
  for (const Json& finding : answer.value("findings", Json::array())) {
    absl::StrAppend(&text, finding.value("warning", false) ? "warning: " : "",
                    finding.value("kind", ""), ": ", PrintableText(finding.value("text", "")),
                    "\n");
  }
  uint64_t all = 0;
  const Json counts = answer.value("counts", Json::object());
  for (const auto& [kind, count] : counts.items()) all += count.get<uint64_t>();
  const uint64_t shown = answer.value("findings", Json::array()).size();
  if (all > shown) absl::StrAppend(&text, "and ", all - shown, " more\n");
  if (number("unended_sessions") + number("unsealed_groups") > 0) {
    absl::StrAppend(&text, "a session did not end: it left ", number("unsealed_groups"),
                    " groups open, which the next one closes\n");
  }
  return text + (answer.value("damaged", false) ? "something is wrong\n" : "nothing is wrong\n");
}

}  // namespace

std::string FormatOfsAnswer(const std::string& command, const Json& answer) {
  if (command == "ofs.heal") return FormatHealing(answer);
  if (command == "ofs.scrub") return FormatScrub(answer);
  if (command == "ofs.check") return FormatCheck(answer);
  if (command == "ofs.disk.list") return FormatDisks(answer.at("disks"));
  if (command == "ofs.status") {
    return absl::StrCat(NameIn(answer, "directory"), ": ", SizeIn(answer, "used_bytes"), " of ",
                        SizeIn(answer, "total_bytes"), " used, ",
                        answer.value("mounted", false) ? "mounted" : "not mounted", "\n",
                        FormatDisks(answer.at("disks")), FormatLeft(answer));
  }
  if (answer.contains("replaced")) {
    return FormatDisks(Json::array({answer.at("replaced"), answer.at("disk")}));
  }
  if (answer.contains("disk")) return FormatDisks(Json::array({answer.at("disk")}));
  if (command == "ofs.format") {
    return absl::StrCat("made the filesystem ", NameIn(answer, "directory"), ": ",
                        answer.at("disks").size(), " disks, ", answer.value("protection", ""), ", ",
                        SizeIn(answer, "total_bytes"), " for files\n");
  }
  if (command == "ofs.mount") {
    return absl::StrCat("unmounted ", NameIn(answer, "mount_point"),
                        ": everything is on the disks of ", NameIn(answer, "directory"), "\n");
  }
  TextTable table({"filesystem", "mounted on", "size", "used", "free"}, 2);
  table.Add({NameIn(answer, "directory"),
             answer.contains("mount_point") ? NameIn(answer, "mount_point") : "-",
             SizeIn(answer, "total_bytes"), SizeIn(answer, "used_bytes"),
             SizeIn(answer, "free_bytes")});
  return table.Print();
}

std::string FormatMounted(const Json& mounted) {
  return absl::StrCat("mounted ", NameIn(mounted, "directory"), " on ",
                      NameIn(mounted, "mount_point"), "\n");
}

}  // namespace strata::appliance
