// SPDX-License-Identifier: Apache-2.0
#include "format/record_fields.h"

namespace strata::ofs {

void ProtectionCodec::Append(std::string* out, const Protection& protection) {
  out->push_back(static_cast<char>(protection.kind));
  out->push_back(static_cast<char>(protection.data_units));
  out->push_back(static_cast<char>(protection.parity_units));
  out->push_back(static_cast<char>(protection.local_groups));
}

void ProtectionCodec::Take(kv::ByteParser* parser, Protection* protection) {
  Protection taken;
  const uint8_t kind = parser->Byte();
  taken.kind = static_cast<Protection::Kind>(kind);
  taken.data_units = parser->Byte();
  taken.parity_units = parser->Byte();
  taken.local_groups = parser->Byte();
  if (!parser->status().ok()) return;
  if (kind > static_cast<uint8_t>(Protection::Kind::kLocallyRepairable)) {
    return parser->FailNewer("is a protection that this program does not know");
  }
  if (!CheckProtection(taken).ok()) return parser->Fail("is a protection out of range");
  *protection = taken;
}

void SignedCodec::Append(std::string* out, int64_t value) {
  if (value == 0) return;
  kv::AppendVarint(out, (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
}

void SignedCodec::Take(kv::ByteParser* parser, int64_t* value) {
  const uint64_t taken = parser->Varint();
  if (taken == 0) parser->Fail("is a zero that is written");
  *value = static_cast<int64_t>(taken >> 1) ^ -static_cast<int64_t>(taken & 1);
}

}  // namespace strata::ofs
