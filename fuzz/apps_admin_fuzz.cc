// SPDX-License-Identifier: Apache-2.0
//
// An operator's command: its name up to the first line's end, then its arguments in JSON, run on
// the stores of a data directory that lives as long as the program.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "appliance/appliance.h"
#include "appliance/commands.h"
#include "appliance/json.h"
#include "strata/base/check.h"
#include "support/scratch_folder.h"

namespace {

using namespace strata::appliance;  // NOLINT: a program's own file

class Home final {
 public:
  Home() {
    ApplianceOptions options;
    options.data = folder_ / "data";
    options.config.storage.max_size_bytes = 256u << 20;
    auto appliance = Appliance::Open(options);
    STRATA_CHECK(appliance.ok(), appliance.status().ToString());
    appliance_ = *std::move(appliance);
  }
  Appliance& appliance() { return *appliance_; }

 private:
  const strata::test::ScratchFolder folder_;
  std::unique_ptr<Appliance> appliance_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Home home;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(input.find('\n'), input.size());
  const std::string_view text = input.substr(std::min(end + 1, input.size()));
  const Json arguments = ParseJson(text).value_or(Json::object());
  const absl::StatusOr<Json> answer =
      RunCommand(home.appliance(), input.substr(0, end), arguments, nullptr);
  if (answer.ok()) {
    (void)ShowJson(*answer);
  } else {
    STRATA_CHECK(!answer.status().message().empty(), "an error that says nothing");
    STRATA_CHECK(!absl::IsInternal(answer.status()), answer.status().ToString());
  }
  return 0;
}
