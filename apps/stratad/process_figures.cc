// SPDX-License-Identifier: Apache-2.0
#include "stratad/process_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

namespace strata::appliance {
namespace {

uint64_t CountOpenFiles() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  uint64_t count = 0;
  while (const dirent* entry = readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(directory);
  return count - 1;  // The one that looks.
}

double BootSeconds() {
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("btime ", 0) == 0) return std::stod(line.substr(6));
  }
  return 0;
}

}  // namespace

ProcessFigures ReadProcessFigures() {
  ProcessFigures figures;
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const size_t name_end = text.rfind(')');
  if (name_end != std::string::npos) {
    // The fields after the name; the first of them is number 3 of proc(5).
    std::istringstream fields(text.substr(name_end + 1));
    const std::vector<std::string> field{std::istream_iterator<std::string>(fields),
                                         std::istream_iterator<std::string>()};
    const auto number = [&](size_t index) {
      return field.size() > index - 3 ? std::stoull(field[index - 3]) : 0;
    };
    const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
    figures.cpu_seconds = static_cast<double>(number(14) + number(15)) / ticks;
    figures.threads = number(20);
    figures.start_seconds = BootSeconds() + static_cast<double>(number(22)) / ticks;
    figures.virtual_bytes = number(23);
    figures.resident_bytes = number(24) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }
  figures.open_files = CountOpenFiles();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) figures.max_files = limit.rlim_cur;
  return figures;
}

void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace strata::appliance
