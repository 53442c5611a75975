// SPDX-License-Identifier: Apache-2.0
#include "stratad/logger.h"

#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "appliance/json.h"
#include "appliance/time_text.h"

namespace strata::appliance {
namespace {

class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto since_epoch = message.time.time_since_epoch();
    const Json line = {
        {"time", FormatTime(static_cast<uint64_t>(
                     std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count()))},
        {"level", std::string(spdlog::level::to_string_view(message.level).data())},
        {"message", std::string(message.payload.data(), message.payload.size())}};
    const std::string text = ShowJson(line) + "\n";
    out.append(text.data(), text.data() + text.size());
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }
};

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& Logger() {
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger("stratad", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

}  // namespace

void SetUpLog(LogLevel level, bool json) {
  Logger().set_level(LevelOf(level));
  if (json) {
    Logger().set_formatter(std::make_unique<JsonFormatter>());
  } else {
    Logger().set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
  }
}

LogSink ProcessLog() {
  return [](LogLevel level, std::string_view line) {
    Logger().log(LevelOf(level), spdlog::string_view_t(line.data(), line.size()));
  };
}

}  // namespace strata::appliance
