// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strata/base/status_macros.h"
#include "strata/ofs/types.h"

namespace strata::ofs {
namespace {

absl::string_view Quoted(std::string_view text) { return {text.data(), text.size()}; }

constexpr DiskClass kDiskClasses[] = {DiskClass::kSsd, DiskClass::kSas, DiskClass::kSata,
                                      DiskClass::kArchive};

absl::Status Unknown(std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("protection '", Quoted(text.substr(0, 40)),
                   "' is none of k+m (as in 4+2), mirror(copies) and lrc(k,groups,globals)"));
}

// Decimal numbers of at most three digits with `separator` between them; nothing else.
bool ParseNumbers(std::string_view text, char separator, std::vector<int>* numbers) {
  while (true) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto digits = static_cast<size_t>(end - text.data());
    if (error != std::errc() || text[0] == '-' || digits > 3) return false;
    numbers->push_back(number);
    text.remove_prefix(digits);
    if (text.empty()) return true;
    if (text[0] != separator) return false;
    text.remove_prefix(1);
  }
}

bool TakeCall(std::string_view text, std::string_view name, std::string_view* arguments) {
  if (!text.starts_with(name) || !text.ends_with(')')) return false;
  *arguments = text.substr(name.size(), text.size() - name.size() - 1);
  return true;
}

}  // namespace

std::string_view DiskClassName(DiskClass disk_class) {
  switch (disk_class) {
    case DiskClass::kSsd:
      return "ssd";
    case DiskClass::kSas:
      return "sas";
    case DiskClass::kSata:
      return "sata";
    case DiskClass::kArchive:
      return "archive";
  }
  return "unknown";
}

std::string_view DiskStateName(DiskState state) {
  switch (state) {
    case DiskState::kOnline:
      return "online";
    case DiskState::kSuspect:
      return "suspect";
    case DiskState::kFailed:
      return "failed";
    case DiskState::kDraining:
      return "draining";
    case DiskState::kRemoved:
      return "removed";
  }
  return "unknown";
}

absl::StatusOr<DiskClass> ParseDiskClass(std::string_view text) {
  for (const DiskClass disk_class : kDiskClasses) {
    if (text == DiskClassName(disk_class)) return disk_class;
  }
  return absl::InvalidArgumentError(absl::StrCat("disk class '", Quoted(text.substr(0, 40)),
                                                 "' is none of ssd, sas, sata and archive"));
}

absl::Status CheckProtection(const Protection& protection) {
  const int k = protection.data_units;
  const int m = protection.parity_units;
  const int groups = protection.local_groups;
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("protection ", ProtectionName(protection), ": ", why));
  };
  if (k + m > kMaxUnits) return refuse("a stripe has at most 20 units");
  switch (protection.kind) {
    case Protection::Kind::kReedSolomon:
      if (k < 2 || m < 1) return refuse("it needs at least 2 data units and 1 parity unit");
      if (groups != 0) return refuse("it has no local groups");
      return absl::OkStatus();
    case Protection::Kind::kMirror:
      if (k != 1 || m + 1 > kMaxCopies) return refuse("a mirror has 1 to 8 copies");
      if (groups != 0) return refuse("it has no local groups");
      return absl::OkStatus();
    case Protection::Kind::kLocallyRepairable:
      if (groups < 1 || k < 2 || k % groups != 0) {
        return refuse("the data units must make equal local groups");
      }
      if (m - groups < 1 || m - groups > 2) return refuse("it has 1 or 2 global parities");
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError("protection of an unknown kind");
}

std::string ProtectionName(const Protection& protection) {
  switch (protection.kind) {
    case Protection::Kind::kReedSolomon:
      return absl::StrCat(protection.data_units, "+", protection.parity_units);
    case Protection::Kind::kMirror:
      return absl::StrCat("mirror(", protection.parity_units + 1, ")");
    case Protection::Kind::kLocallyRepairable:
      return absl::StrCat("lrc(", protection.data_units, ",", protection.local_groups, ",",
                          protection.parity_units - protection.local_groups, ")");
  }
  return "unknown";
}

absl::StatusOr<Protection> ParseProtection(std::string_view text) {
  Protection protection;
  std::vector<int> numbers;
  std::string_view arguments;
  if (TakeCall(text, "mirror(", &arguments)) {
    if (!ParseNumbers(arguments, ',', &numbers) || numbers.size() != 1) return Unknown(text);
    if (numbers[0] < 1 || numbers[0] > kMaxCopies) {
      return absl::InvalidArgumentError(
          absl::StrCat("protection mirror(", numbers[0], "): a mirror has 1 to 8 copies"));
    }
    protection = Protection::Mirror(numbers[0]);
  } else if (TakeCall(text, "lrc(", &arguments)) {
    if (!ParseNumbers(arguments, ',', &numbers) || numbers.size() != 3) return Unknown(text);
    for (const int number : numbers) {
      if (number > kMaxUnits) return Unknown(text);
    }
    protection = Protection::LocallyRepairable(numbers[0], numbers[1], numbers[2]);
  } else {
    if (!ParseNumbers(text, '+', &numbers) || numbers.size() != 2) return Unknown(text);
    if (numbers[0] + numbers[1] > kMaxUnits) {
      return absl::InvalidArgumentError(
          absl::StrCat("protection ", Quoted(text), ": a stripe has at most 20 units"));
    }
    protection = numbers[0] == 1 ? Protection::Mirror(numbers[1] + 1)
                                 : Protection::ReedSolomon(numbers[0], numbers[1]);
  }
  STRATA_RETURN_IF_ERROR(CheckProtection(protection));
  return protection;
}

}  // namespace strata::ofs
