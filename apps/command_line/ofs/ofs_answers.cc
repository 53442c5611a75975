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

std::string FormatOfsAnswer(const std::string& command, const Json& answer) {
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
