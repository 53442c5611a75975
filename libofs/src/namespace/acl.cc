// SPDX-License-Identifier: Apache-2.0
#include "namespace/acl.h"

#include <algorithm>
#include <cerrno>
#include <span>

#include "strata/base/endian.h"
#include "strata/ofs/posix_error.h"

namespace strata::ofs {
namespace {

using Tag = AclEntry::Tag;

constexpr uint32_t kVersion = 2;
constexpr size_t kHeaderBytes = 4;
constexpr size_t kEntryBytes = 8;
constexpr uint16_t kAllPermissions = 7;
constexpr uint32_t kPermissionBits = 0777;

bool HasId(Tag tag) { return tag == Tag::kUser || tag == Tag::kGroup; }

absl::Status Bad(std::string_view what) { return PosixError(EINVAL, what); }

// As Linux has it: tags ascend; the ids of one tag come in any order.
absl::Status CheckEntries(std::span<const AclEntry> entries) {
  int owners = 0;
  int groups = 0;
  int others = 0;
  bool has_mask = false;
  bool needs_mask = false;
  const AclEntry* last = nullptr;
  for (const AclEntry& entry : entries) {
    switch (entry.tag) {
      case Tag::kOwner:
        ++owners;
        break;
      case Tag::kOwningGroup:
        ++groups;
        break;
      case Tag::kOther:
        ++others;
        break;
      case Tag::kMask:
        has_mask = true;
        break;
      case Tag::kUser:
      case Tag::kGroup:
        needs_mask = true;
        if (entry.id == UINT32_MAX) return Bad("ACL: an entry without its id");
        break;
      default:
        return Bad("ACL: an entry of an unknown kind");
    }
    if (entry.permissions > kAllPermissions) return Bad("ACL: unknown permissions");
    const bool ascends =
        last == nullptr || last->tag < entry.tag || (last->tag == entry.tag && HasId(entry.tag));
    if (!ascends) return Bad("ACL: entries are doubled or out of order");
    last = &entry;
  }
  if (owners != 1 || groups != 1 || others != 1) {
    return Bad("ACL: the entry of the owner, the group or the others is missing");
  }
  if (needs_mask && !has_mask) return Bad("ACL: named entries without a mask");
  return absl::OkStatus();
}

}  // namespace

Acl Acl::FromMode(uint32_t mode) {
  Acl acl;
  acl.entries_ = {{Tag::kOwner, static_cast<uint16_t>(mode >> 6 & 7), UINT32_MAX},
                  {Tag::kOwningGroup, static_cast<uint16_t>(mode >> 3 & 7), UINT32_MAX},
                  {Tag::kOther, static_cast<uint16_t>(mode & 7), UINT32_MAX}};
  return acl;
}

AclEntry* Acl::Find(Tag tag) {
  const auto found = std::ranges::find(entries_, tag, &AclEntry::tag);
  return found == entries_.end() ? nullptr : &*found;
}

const AclEntry* Acl::Find(Tag tag) const { return const_cast<Acl*>(this)->Find(tag); }

uint32_t Acl::ApplyTo(uint32_t mode) const {
  const AclEntry* mask = Find(Tag::kMask);
  const AclEntry* group = mask != nullptr ? mask : Find(Tag::kOwningGroup);
  return (mode & ~kPermissionBits) | uint32_t{Find(Tag::kOwner)->permissions} << 6 |
         uint32_t{group->permissions} << 3 | Find(Tag::kOther)->permissions;
}

void Acl::SetMode(uint32_t mode) {
  Find(Tag::kOwner)->permissions = static_cast<uint16_t>(mode >> 6 & 7);
  AclEntry* mask = Find(Tag::kMask);
  (mask != nullptr ? mask : Find(Tag::kOwningGroup))->permissions =
      static_cast<uint16_t>(mode >> 3 & 7);
  Find(Tag::kOther)->permissions = static_cast<uint16_t>(mode & 7);
}

Acl Acl::Inherit(uint32_t mode) const {
  Acl made = *this;
  const auto limit = [&made](Tag tag, uint32_t bits) {
    made.Find(tag)->permissions &= static_cast<uint16_t>(bits & 7);
  };
  limit(Tag::kOwner, mode >> 6);
  limit(made.Find(Tag::kMask) != nullptr ? Tag::kMask : Tag::kOwningGroup, mode >> 3);
  limit(Tag::kOther, mode);
  return made;
}

absl::StatusOr<Acl> DecodeAcl(std::string_view value) {
  const auto* at = reinterpret_cast<const std::byte*>(value.data());
  if (value.size() < kHeaderBytes) return Bad("ACL: shorter than its version");
  if (LoadLe32(at) != kVersion) return PosixError(ENOTSUP, "ACL: a version other than 2");
  const size_t count = (value.size() - kHeaderBytes) / kEntryBytes;
  if ((value.size() - kHeaderBytes) % kEntryBytes != 0 || count > kMaxAclEntries) {
    return Bad("ACL: not a whole number of entries, or too many");
  }
  Acl acl;
  acl.entries_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const std::byte* entry = at + kHeaderBytes + i * kEntryBytes;
    const auto tag = static_cast<Tag>(LoadLe16(entry));
    acl.entries_.push_back(
        {tag, LoadLe16(entry + 2), HasId(tag) ? LoadLe32(entry + 4) : UINT32_MAX});
  }
  if (absl::Status status = CheckEntries(acl.entries_); !status.ok()) return status;
  return acl;
}

bool IsNoAcl(std::string_view value) {
  if (value.empty()) return true;
  return value.size() == kHeaderBytes &&
         LoadLe32(reinterpret_cast<const std::byte*>(value.data())) == kVersion;
}

std::string EncodeAcl(const Acl& acl) {
  std::string value(kHeaderBytes + acl.entries().size() * kEntryBytes, '\0');
  auto* at = reinterpret_cast<std::byte*>(value.data());
  StoreLe32(at, kVersion);
  at += kHeaderBytes;
  for (const AclEntry& entry : acl.entries()) {
    StoreLe16(at, static_cast<uint16_t>(entry.tag));
    StoreLe16(at + 2, entry.permissions);
    StoreLe32(at + 4, entry.id);
    at += kEntryBytes;
  }
  return value;
}

}  // namespace strata::ofs
