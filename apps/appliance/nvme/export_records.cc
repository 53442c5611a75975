// SPDX-License-Identifier: Apache-2.0
#include "appliance/nvme/export_records.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "appliance/json.h"
#include "strata/base/hex.h"
#include "strata/base/status_macros.h"
#include "strata/base/utf8.h"
#include "strata/nvme/wire/fabrics.h"

namespace strata::appliance {
namespace {

constexpr int kVersion = 1;
constexpr size_t kMaxSerialNumber = 20;
constexpr size_t kMaxModelNumber = 40;
constexpr uint16_t kLastControllerId = 0xffef;

// Takes the fields of one record out of its JSON; what nobody took, or has another type, is an
// error.
class RecordReader {
 public:
  RecordReader(std::string_view what, std::string_view value) : what_(what) {
    std::optional<Json> json = ParseJson(value);
    if (!json.has_value() || !json->is_object()) {
      Fail("is no JSON object");
      return;
    }
    json_ = *std::move(json);
    const uint64_t version = Number("version", std::numeric_limits<uint64_t>::max());
    if (!status_.ok() || version == kVersion) return;
    status_ = absl::UnimplementedError(absl::StrCat(
        what_, ": version ", version, " of the record; this program knows version ", kVersion));
  }

  uint64_t Number(const char* name, uint64_t most) {
    const Json value = Take(name);
    if (value.is_number_unsigned() && value.get<uint64_t>() <= most) return value.get<uint64_t>();
    Fail(absl::StrCat("field '", name, "' is no number up to ", most));
    return 0;
  }

  bool Truth(const char* name) {
    const Json value = Take(name);
    if (value.is_boolean()) return value.get<bool>();
    Fail(absl::StrCat("field '", name, "' is neither true nor false"));
    return false;
  }

  std::string Text(const char* name) {
    const Json value = Take(name);
    if (value.is_string()) return value.get<std::string>();
    Fail(absl::StrCat("field '", name, "' is no text"));
    return "";
  }

  std::vector<std::string> Texts(const char* name) {
    const Json value = Take(name);
    std::vector<std::string> texts;
    const auto is_text = [](const Json& item) { return item.is_string(); };
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text)) {
      Fail(absl::StrCat("field '", name, "' is no list of texts"));
      return texts;
    }
    for (const Json& item : value) texts.push_back(item.get<std::string>());
    return texts;
  }

  // The first error, which may be the caller's.
  absl::Status Finish(const absl::Status& checked = absl::OkStatus()) {
    if (!json_.empty()) Fail(absl::StrCat("has a field '", json_.begin().key(), "'"));
    if (!checked.ok()) Fail(checked.message());
    return status_;
  }

 private:
  Json Take(const char* name) {
    const auto it = json_.find(name);
    if (it == json_.end()) return nullptr;
    Json value = std::move(it.value());
    json_.erase(name);
    return value;
  }

  void Fail(absl::string_view why) {
    if (!status_.ok()) return;
    status_ = absl::DataLossError(absl::StrCat(what_, ": the record ", why));
    json_ = Json::object();
  }

  const std::string what_;
  Json json_ = Json::object();
  absl::Status status_;
};

absl::Status CheckPrintable(const char* what, const std::string& text, size_t most) {
  const bool printable =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!text.empty() && text.size() <= most && printable) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrFormat("%s '%s' is not 1 to %d printable ASCII characters", what, text, most));
}

std::string Line(const Json& json) { return ShowJson(json); }

template <size_t N>
std::string HexOf(const std::array<std::byte, N>& bytes) {
  return ToHex({reinterpret_cast<const char*>(bytes.data()), N});
}

absl::StatusOr<std::array<std::byte, 16>> Bytes16(const std::string& digits, const char* form,
                                                  std::string_view text) {
  const std::optional<std::string> bytes = FromHex(digits, HexLetters::kAny);
  std::array<std::byte, 16> array;
  if (!bytes.has_value() || bytes->size() != array.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("'%s' is not %s", std::string(text), form));
  }
  std::transform(bytes->begin(), bytes->end(), array.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  return array;
}

// Absent bytes are an empty text.
absl::StatusOr<std::array<std::byte, 16>> BytesOf(const std::string& text) {
  if (text.empty()) return std::array<std::byte, 16>{};
  return ParseNguid(text);
}

std::string TextOf(const std::array<std::byte, 16>& bytes) {
  return bytes == std::array<std::byte, 16>{} ? "" : PrintNguid(bytes);
}

}  // namespace

std::string Encode(const SubsystemRecord& record) {
  return Line({{"version", kVersion},
               {"serial_number", record.serial_number},
               {"model_number", record.model_number},
               {"allow_any_host", record.allow_any_host},
               {"first_controller_id", record.first_controller_id},
               {"last_controller_id", record.last_controller_id},
               {"next_nsid", record.next_nsid},
               {"created_ns", record.created_ns}});
}

std::string Encode(const NamespaceRecord& record) {
  return Line({{"version", kVersion},
               {"uri", record.uri},
               {"uuid", TextOf(record.uuid)},
               {"nguid", TextOf(record.nguid)},
               {"read_only", record.read_only},
               {"hosts", record.hosts},
               {"iops", record.qos.iops},
               {"bytes_per_second", record.qos.bytes_per_second},
               {"burst_ms", record.qos.burst_ms},
               {"created_ns", record.created_ns}});
}

std::string Encode(const HostRecord& record) {
  return Line({{"version", kVersion}, {"created_ns", record.created_ns}});
}

std::string Encode(const ListenerRecord& record) {
  return Line({{"version", kVersion},
               {"discovery_only", record.is_discovery_only},
               {"created_ns", record.created_ns}});
}

absl::StatusOr<SubsystemRecord> DecodeSubsystem(std::string_view what, std::string_view value) {
  constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();
  RecordReader reader(what, value);
  SubsystemRecord record;
  record.serial_number = reader.Text("serial_number");
  record.model_number = reader.Text("model_number");
  record.allow_any_host = reader.Truth("allow_any_host");
  record.first_controller_id =
      static_cast<uint16_t>(reader.Number("first_controller_id", kLastControllerId));
  record.last_controller_id =
      static_cast<uint16_t>(reader.Number("last_controller_id", kLastControllerId));
  record.next_nsid = static_cast<uint32_t>(reader.Number("next_nsid", 0xfffffffe));
  record.created_ns = reader.Number("created_ns", kAny);
  STRATA_RETURN_IF_ERROR(reader.Finish());
  return record;
}

absl::StatusOr<NamespaceRecord> DecodeNamespace(std::string_view what, std::string_view value) {
  constexpr uint64_t kAny = std::numeric_limits<uint64_t>::max();
  RecordReader reader(what, value);
  NamespaceRecord record;
  record.uri = reader.Text("uri");
  const absl::StatusOr<std::array<std::byte, 16>> uuid = BytesOf(reader.Text("uuid"));
  const absl::StatusOr<std::array<std::byte, 16>> nguid = BytesOf(reader.Text("nguid"));
  record.read_only = reader.Truth("read_only");
  record.hosts = reader.Texts("hosts");
  record.qos.iops = reader.Number("iops", kAny);
  record.qos.bytes_per_second = reader.Number("bytes_per_second", kAny);
  record.qos.burst_ms = reader.Number("burst_ms", kAny);
  record.created_ns = reader.Number("created_ns", kAny);
  STRATA_RETURN_IF_ERROR(reader.Finish(uuid.ok() ? nguid.status() : uuid.status()));
  record.uuid = *uuid;
  record.nguid = *nguid;
  return record;
}

absl::StatusOr<HostRecord> DecodeHost(std::string_view what, std::string_view value) {
  RecordReader reader(what, value);
  HostRecord record;
  record.created_ns = reader.Number("created_ns", std::numeric_limits<uint64_t>::max());
  STRATA_RETURN_IF_ERROR(reader.Finish());
  return record;
}

absl::StatusOr<ListenerRecord> DecodeListener(std::string_view what, std::string_view value) {
  RecordReader reader(what, value);
  ListenerRecord record;
  record.is_discovery_only = reader.Truth("discovery_only");
  record.created_ns = reader.Number("created_ns", std::numeric_limits<uint64_t>::max());
  STRATA_RETURN_IF_ERROR(reader.Finish());
  return record;
}

absl::Status CheckNqn(std::string_view what, std::string_view nqn) {
  const bool plain = std::none_of(nqn.begin(), nqn.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
  });
  if (nqn.starts_with("nqn.") && nqn.size() > 4 && nqn.size() <= nvme::kMostNqnBytes && plain &&
      IsUtf8(nqn)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "'%s' is not the NQN of a %s: 'nqn.' and at most %d bytes in all, without spaces and control "
      "characters",
      std::string(nqn.substr(0, nvme::kMostNqnBytes)), std::string(what), nvme::kMostNqnBytes));
}

absl::Status CheckSubsystem(const SubsystemRecord& record) {
  STRATA_RETURN_IF_ERROR(CheckNqn("subsystem", record.nqn));
  if (record.nqn == nvme::kDiscoveryNqn) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", record.nqn, "' is the name of discovery, which every listener answers"));
  }
  STRATA_RETURN_IF_ERROR(
      CheckPrintable("the serial number", record.serial_number, kMaxSerialNumber));
  STRATA_RETURN_IF_ERROR(CheckPrintable("the model number", record.model_number, kMaxModelNumber));
  if (record.first_controller_id < 1 || record.first_controller_id > record.last_controller_id ||
      record.last_controller_id > kLastControllerId) {
    return absl::InvalidArgumentError(
        absl::StrCat("controller ids ", record.first_controller_id, " to ",
                     record.last_controller_id, " are no range within 1 to ", kLastControllerId));
  }
  return absl::OkStatus();
}

std::string PrintUuid(const std::array<std::byte, 16>& uuid) {
  const std::string digits = HexOf(uuid);
  return absl::StrCat(digits.substr(0, 8), "-", digits.substr(8, 4), "-", digits.substr(12, 4), "-",
                      digits.substr(16, 4), "-", digits.substr(20));
}

absl::StatusOr<std::array<std::byte, 16>> ParseUuid(std::string_view text) {
  std::string digits;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (is_dash != (text[i] == '-')) digits = "no digits";
    if (!is_dash) digits += text[i];
  }
  return Bytes16(digits, "a UUID as 6ba7b810-9dad-41d1-80b4-00c04fd430c8", text);
}

std::string PrintNguid(const std::array<std::byte, 16>& nguid) { return HexOf(nguid); }

absl::StatusOr<std::array<std::byte, 16>> ParseNguid(std::string_view text) {
  return Bytes16(std::string(text), "32 hexadecimal digits", text);
}

}  // namespace strata::appliance
