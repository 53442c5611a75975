// SPDX-License-Identifier: Apache-2.0
//
// The adapter to OpenSSL's SHA-256.
#include "command_line/nvme/derived_names.h"

#include <openssl/sha.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "appliance/nvme/device_uris.h"
#include "appliance/nvme/export_records.h"

namespace strata::appliance {
namespace {

// Differs between machines; empty where the system has none.
std::string MachineId() {
  std::ifstream file("/etc/machine-id");
  std::string id;
  std::getline(file, id);
  return id.substr(0, 64);
}

}  // namespace

std::array<std::byte, 16> DerivedUuid(std::span<const std::string> texts) {
  std::string all = "strata";
  for (const std::string& text : texts) absl::StrAppend(&all, ";", text.size(), ":", text);
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(all.data()), all.size(), digest.data());
  std::array<std::byte, 16> uuid;
  std::transform(digest.begin(), digest.begin() + uuid.size(), uuid.begin(),
                 [](unsigned char c) { return static_cast<std::byte>(c); });
  uuid[6] = (uuid[6] & std::byte{0x0f}) | std::byte{0x80};
  uuid[8] = (uuid[8] & std::byte{0x3f}) | std::byte{0x80};
  return uuid;
}

std::string DerivedNqn(std::string_view listen, std::span<const std::string> uris) {
  std::vector<std::string> texts = {"nqn", MachineId(), std::string(listen)};
  texts.insert(texts.end(), uris.begin(), uris.end());
  return "nqn.2014-08.org.nvmexpress:uuid:" + PrintUuid(DerivedUuid(texts));
}

std::string DerivedSerialNumber(const std::string& nqn) {
  const std::vector<std::string> texts = {"serial", nqn};
  const std::array<std::byte, 16> uuid = DerivedUuid(texts);
  return PrintNguid(uuid).substr(0, 20);
}

std::array<std::byte, 16> DerivedNamespaceUuid(const std::string& nqn, uint32_t nsid,
                                               const std::string& uri) {
  std::string device = FileOfUri(uri).value_or("");
  if (device.empty()) {
    device = uri;
  } else {
    std::error_code error;
    const std::filesystem::path path = std::filesystem::weakly_canonical(device, error);
    if (!error) device = std::filesystem::absolute(path, error).string();
  }
  const std::vector<std::string> texts = {"namespace", nqn, absl::StrCat(nsid), device};
  return DerivedUuid(texts);
}

}  // namespace strata::appliance
