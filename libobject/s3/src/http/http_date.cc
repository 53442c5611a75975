// SPDX-License-Identifier: Apache-2.0
#include "http/http_date.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace strata::s3 {
namespace {

constexpr uint64_t kNanosPerSecond = 1'000'000'000;
constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct CivilTime {
  int year = 0;
  unsigned month = 0, day = 0, weekday = 0;  // month and day from 1, weekday from Sunday = 0
  unsigned hour = 0, minute = 0, second = 0;
};

CivilTime ToCivil(uint64_t time_ns) {
  const std::chrono::sys_seconds time{
      std::chrono::seconds(static_cast<int64_t>(time_ns / kNanosPerSecond))};
  const auto midnight = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{midnight};
  const std::chrono::hh_mm_ss clock{time - midnight};
  return {.year = static_cast<int>(date.year()),
          .month = static_cast<unsigned>(date.month()),
          .day = static_cast<unsigned>(date.day()),
          .weekday = std::chrono::weekday{midnight}.c_encoding(),
          .hour = static_cast<unsigned>(clock.hours().count()),
          .minute = static_cast<unsigned>(clock.minutes().count()),
          .second = static_cast<unsigned>(clock.seconds().count())};
}

std::optional<uint64_t> FromCivil(const CivilTime& civil) {
  const std::chrono::year_month_day date{
      std::chrono::year(civil.year), std::chrono::month(civil.month), std::chrono::day(civil.day)};
  if (!date.ok() || civil.year < 1970 || civil.year > 2500) return std::nullopt;
  if (civil.hour > 23 || civil.minute > 59 || civil.second > 60) return std::nullopt;
  const std::chrono::sys_seconds time =
      std::chrono::sys_days{date} + std::chrono::hours(civil.hour) +
      std::chrono::minutes(civil.minute) + std::chrono::seconds(civil.second);
  return static_cast<uint64_t>(time.time_since_epoch().count()) * kNanosPerSecond;
}

// Takes pieces off the front of a text; remembers whether all of them were there.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  unsigned Digits(size_t count) {
    unsigned value = 0;
    for (size_t i = 0; i < count; ++i) {
      const char c = i < rest_.size() ? rest_[i] : 'x';
      if (c < '0' || c > '9') {
        ok_ = false;
        return 0;
      }
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }

  void Literal(std::string_view text) {
    if (rest_.substr(0, text.size()) == text) {
      rest_.remove_prefix(text.size());
    } else {
      ok_ = false;
    }
  }

  // The index of the name that comes next.
  template <size_t N>
  unsigned Name(const std::array<std::string_view, N>& names, size_t length) {
    for (unsigned i = 0; i < N; ++i) {
      const std::string_view name = names[i].substr(0, length);
      if (rest_.substr(0, name.size()) == name) {
        rest_.remove_prefix(name.size());
        return i;
      }
    }
    ok_ = false;
    return 0;
  }

  void Clock(CivilTime& civil) {
    civil.hour = Digits(2);
    Literal(":");
    civil.minute = Digits(2);
    Literal(":");
    civil.second = Digits(2);
  }

  bool Skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool done() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

std::optional<uint64_t> ParseImfDate(std::string_view text) {
  Scanner scanner(text);
  CivilTime civil;
  scanner.Name(kDays, 3);
  scanner.Literal(", ");
  civil.day = scanner.Digits(2);
  scanner.Literal(" ");
  civil.month = scanner.Name(kMonths, 3) + 1;
  scanner.Literal(" ");
  civil.year = static_cast<int>(scanner.Digits(4));
  scanner.Literal(" ");
  scanner.Clock(civil);
  scanner.Literal(" GMT");
  return scanner.done() ? FromCivil(civil) : std::nullopt;
}

std::optional<uint64_t> ParseRfc850Date(std::string_view text) {
  Scanner scanner(text);
  CivilTime civil;
  scanner.Name(kDays, std::string_view::npos);
  scanner.Literal(", ");
  civil.day = scanner.Digits(2);
  scanner.Literal("-");
  civil.month = scanner.Name(kMonths, 3) + 1;
  scanner.Literal("-");
  const int year = static_cast<int>(scanner.Digits(2));
  civil.year = year + (year < 70 ? 2000 : 1900);
  scanner.Literal(" ");
  scanner.Clock(civil);
  scanner.Literal(" GMT");
  return scanner.done() ? FromCivil(civil) : std::nullopt;
}

std::optional<uint64_t> ParseAsctimeDate(std::string_view text) {
  Scanner scanner(text);
  CivilTime civil;
  scanner.Name(kDays, 3);
  scanner.Literal(" ");
  civil.month = scanner.Name(kMonths, 3) + 1;
  scanner.Literal(" ");
  civil.day = scanner.Skip(' ') ? scanner.Digits(1) : scanner.Digits(2);
  scanner.Literal(" ");
  scanner.Clock(civil);
  scanner.Literal(" ");
  civil.year = static_cast<int>(scanner.Digits(4));
  return scanner.done() ? FromCivil(civil) : std::nullopt;
}

}  // namespace

std::string FormatHttpDate(uint64_t time_ns) {
  const CivilTime civil = ToCivil(time_ns);
  char text[64];
  std::snprintf(text, sizeof(text), "%.3s, %02u %s %04d %02u:%02u:%02u GMT",
                kDays[civil.weekday].data(), civil.day, kMonths[civil.month - 1].data(), civil.year,
                civil.hour, civil.minute, civil.second);
  return text;
}

std::optional<uint64_t> ParseHttpDate(std::string_view text) {
  if (std::optional<uint64_t> time = ParseImfDate(text)) return time;
  if (std::optional<uint64_t> time = ParseRfc850Date(text)) return time;
  return ParseAsctimeDate(text);
}

std::string FormatIsoDate(uint64_t time_ns) {
  const CivilTime civil = ToCivil(time_ns);
  char text[64];
  std::snprintf(text, sizeof(text), "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", civil.year, civil.month,
                civil.day, civil.hour, civil.minute, civil.second,
                static_cast<unsigned>(time_ns % kNanosPerSecond / 1'000'000));
  return text;
}

std::string FormatBasicDate(uint64_t time_ns) {
  const CivilTime civil = ToCivil(time_ns);
  char text[64];
  std::snprintf(text, sizeof(text), "%04d%02u%02uT%02u%02u%02uZ", civil.year, civil.month,
                civil.day, civil.hour, civil.minute, civil.second);
  return text;
}

std::optional<uint64_t> ParseBasicDate(std::string_view text) {
  Scanner scanner(text);
  CivilTime civil;
  civil.year = static_cast<int>(scanner.Digits(4));
  civil.month = scanner.Digits(2);
  civil.day = scanner.Digits(2);
  scanner.Literal("T");
  civil.hour = scanner.Digits(2);
  civil.minute = scanner.Digits(2);
  civil.second = scanner.Digits(2);
  scanner.Literal("Z");
  return scanner.done() ? FromCivil(civil) : std::nullopt;
}

}  // namespace strata::s3
