// SPDX-License-Identifier: Apache-2.0
//
// Abseil reads and writes the dates. It forgives white space, case and values out of range, so a
// date is formatted again and compared; a weekday's name is looked at, and need not be the right
// one.
#include "http/http_date.h"

#include <algorithm>
#include <array>

#include "absl/time/time.h"
#include "http/text.h"

namespace strata::s3 {
namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;
constexpr char kImfFormat[] = ", %d %b %Y %H:%M:%S GMT";  // Behind the weekday.
constexpr size_t kShortDay = 3;
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};

std::string Format(absl::string_view format, uint64_t time_ns) {
  const absl::Time time = absl::FromUnixSeconds(static_cast<int64_t>(time_ns / kNanosPerSecond)) +
                          absl::Nanoseconds(time_ns % kNanosPerSecond);
  return absl::FormatTime(format, time, absl::UTCTimeZone());
}

std::optional<uint64_t> InRange(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  constexpr int64_t kEnd = 16'756'761'600;  // The year 2501; 64 bits of nanoseconds end in 2554.
  if (seconds < 0 || seconds >= kEnd) return std::nullopt;
  return static_cast<uint64_t>(seconds) * kNanosPerSecond;
}

std::optional<uint64_t> Parse(absl::string_view format, std::string_view text) {
  // A leap second, which no format gives back.
  std::string plain(text);
  const size_t leap = plain.find(":60 ");
  if (leap != std::string::npos) plain.replace(leap, 3, ":59");
  absl::Time time;
  if (!absl::ParseTime(format, plain, &time, nullptr)) return std::nullopt;
  const std::optional<uint64_t> time_ns = InRange(time);
  if (!time_ns || Format(format, *time_ns) != plain) return std::nullopt;
  return *time_ns + (leap == std::string::npos ? 0 : kNanosPerSecond);
}

// Takes a weekday's name, or the first letters of one, off the text. False: there is none.
bool TakeDay(std::string_view* text, size_t letters) {
  return std::any_of(kDays.begin(), kDays.end(), [&](std::string_view day) {
    day = day.substr(0, letters);
    if (!text->starts_with(day)) return false;
    text->remove_prefix(day.size());
    return true;
  });
}

std::optional<uint64_t> ParseImfDate(std::string_view text) {
  if (!TakeDay(&text, kShortDay)) return std::nullopt;
  for (const std::string_view zone : {" +0000", " -0000"}) {
    if (!text.ends_with(zone)) continue;
    text.remove_suffix(zone.size());
    return Parse(kImfFormat, Concat({text, " GMT"}));
  }
  return Parse(kImfFormat, text);
}

// ", 06-Nov-94 08:49:37 GMT" after the weekday: as the form above, with a century.
std::optional<uint64_t> ParseRfc850Date(std::string_view text) {
  constexpr size_t kYearAt = 9;
  if (!TakeDay(&text, std::string_view::npos) || text.size() < kYearAt + 2) return std::nullopt;
  if (text[4] != '-' || text[kYearAt - 1] != '-') return std::nullopt;
  const std::string_view century = text[kYearAt] < '7' ? "20" : "19";
  return Parse(kImfFormat, Concat({text.substr(0, 4), " ", text.substr(5, 3), " ", century,
                                   text.substr(kYearAt)}));
}

std::optional<uint64_t> ParseAsctimeDate(std::string_view text) {
  if (!TakeDay(&text, kShortDay)) return std::nullopt;
  if (const auto time = Parse(" %b %e %H:%M:%S %Y", text)) return time;
  return Parse(" %b %d %H:%M:%S %Y", text);
}

}  // namespace

std::string FormatHttpDate(uint64_t time_ns) {
  return Format("%a, %d %b %Y %H:%M:%S GMT", time_ns);
}

std::optional<uint64_t> ParseHttpDate(std::string_view text) {
  if (const auto time = ParseImfDate(text)) return time;
  if (const auto time = ParseRfc850Date(text)) return time;
  return ParseAsctimeDate(text);
}

std::string FormatIsoDate(uint64_t time_ns) { return Format("%Y-%m-%dT%H:%M:%E3SZ", time_ns); }

std::string FormatBasicDate(uint64_t time_ns) { return Format("%Y%m%dT%H%M%SZ", time_ns); }

// Every request has one, so it is read without a format.
std::optional<uint64_t> ParseBasicDate(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto date = ParseDecimal(text.substr(0, 8));
  const auto clock = ParseDecimal(text.substr(9, 6));
  if (!date || !clock || *clock % 100 > 60) return std::nullopt;
  const absl::CivilMinute minute(static_cast<int>(*date / 10000), *date / 100 % 100, *date % 100,
                                 *clock / 10000, *clock / 100 % 100);
  // A field out of range has moved the others.
  const uint64_t moved = ((minute.year() * 100 + minute.month()) * 100 + minute.day()) * 10000 +
                         minute.hour() * 100 + minute.minute();
  if (moved != *date * 10000 + *clock / 100) return std::nullopt;
  return InRange(absl::FromCivil(minute, absl::UTCTimeZone()) + absl::Seconds(*clock % 100));
}

}  // namespace strata::s3
