// SPDX-License-Identifier: Apache-2.0
//
// Takes a command's arguments out of a JSON object, each by name and kind. What is wrong is kept as
// the status; what nobody took is an error. Used by one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "appliance/json.h"

namespace strata::appliance {

class Arguments final {
 public:
  explicit Arguments(Json arguments);

  std::string Text(const char* name, std::string otherwise);
  bool Flag(const char* name, bool otherwise);
  double Ratio(const char* name, double otherwise);  // 0..1.
  uint64_t Bytes(const char* name, uint64_t otherwise);
  uint64_t Number(const char* name, uint64_t most, uint64_t otherwise);
  std::vector<std::string> Texts(const char* name);  // Absent: none.
  bool Has(const char* name) const;                  // And nobody took it yet.
  absl::StatusOr<std::string> RequiredText(const char* name);

  // The first error so far.
  const absl::Status& status() const { return status_; }

  // The same, and arguments that nobody took. REQUIRES: called last.
  absl::Status Finish() const;

 private:
  // The value, taken out; null: absent.
  Json Take(const char* name);
  void Fail(const char* name, absl::string_view what);

  Json remaining_;
  absl::Status status_;
};

}  // namespace strata::appliance
