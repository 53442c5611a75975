// SPDX-License-Identifier: Apache-2.0
//
// Access control lists of POSIX 1003.1e draft 17, as acl(5) describes them and as Linux keeps them
// in the extended attributes system.posix_acl_access and system.posix_acl_default. Pure.
//
//   STRATA_ASSIGN_OR_RETURN(Acl acl, DecodeAcl(value));
//   mode = acl.ApplyTo(mode);          // What stat() shows of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace strata::ofs {

inline constexpr std::string_view kAccessAclName = "system.posix_acl_access";
inline constexpr std::string_view kDefaultAclName = "system.posix_acl_default";
inline constexpr size_t kMaxAclEntries = 8191;  // What an attribute of 64 KiB holds.

struct AclEntry {
  enum class Tag : uint16_t {
    kOwner = 0x01,
    kUser = 0x02,
    kOwningGroup = 0x04,
    kGroup = 0x08,
    kMask = 0x10,
    kOther = 0x20,
  };
  Tag tag = Tag::kOther;
  uint16_t permissions = 0;  // r 4, w 2, x 1.
  uint32_t id = UINT32_MAX;  // Of kUser and kGroup alone.
  friend bool operator==(const AclEntry&, const AclEntry&) = default;
};

class Acl final {
 public:
  // What a mode alone says.
  static Acl FromMode(uint32_t mode);

  // Whether it says no more than a mode does.
  bool IsMinimal() const { return entries_.size() == 3; }

  // The mode with the permission bits of this list: the group's bits are those of the mask.
  uint32_t ApplyTo(uint32_t mode) const;

  // chmod: the bits of the mode become those of the owner, the mask (or the group), the others.
  void SetMode(uint32_t mode);

  // As a default list: what a new file gets that is made with `mode`; no entry allows more than the
  // mode does.
  Acl Inherit(uint32_t mode) const;

  const std::vector<AclEntry>& entries() const { return entries_; }
  friend bool operator==(const Acl&, const Acl&) = default;

 private:
  friend absl::StatusOr<Acl> DecodeAcl(std::string_view value);

  AclEntry* Find(AclEntry::Tag tag);
  const AclEntry* Find(AclEntry::Tag tag) const;

  std::vector<AclEntry> entries_;
};

// The layout of Linux (include/uapi/linux/posix_acl_xattr.h): version 2, then entries of 8 bytes.
// EINVAL, ENOTSUP (another version): entries are out of order, doubled, or one that must be there
// is missing. A list of no entries stands for none at all: see IsNoAcl().
absl::StatusOr<Acl> DecodeAcl(std::string_view value);
std::string EncodeAcl(const Acl& acl);
// Whether the value is empty, or a version without entries: to set it is to remove the list.
bool IsNoAcl(std::string_view value);

}  // namespace strata::ofs
