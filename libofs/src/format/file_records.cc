// SPDX-License-Identifier: Apache-2.0
//
// The records of files: inodes, names, attributes, extents.
#include "format/record_fields.h"
#include "format/records.h"

namespace strata::ofs {
namespace {

using absl::string_view;

// One byte; none is absent.
struct CodecByte {
  static void Append(std::string* out, Codec codec) { out->push_back(static_cast<char>(codec)); }
  static void Take(kv::ByteParser* parser, Codec* codec) {
    const uint8_t byte = parser->Byte();
    if (byte > static_cast<uint8_t>(Codec::kZstd)) {
      return parser->FailNewer("is a codec that this program does not know");
    }
    *codec = static_cast<Codec>(byte);
  }
};

struct LayoutFields {
  static constexpr kv::RecordKind kKind = {'Y', 1, "layout"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& layout) {
    fields.Integer(1, layout.pool);
    fields.Value(2, layout.protection, OptionalOf<ProtectionCodec>());
    fields.Value(3, layout.codec, OptionalOf<CodecByte>());
    fields.Integer(4, layout.level);
  }
};

// The offset plus 1, so that an offset 0 is written.
struct OffsetCodec {
  static void Append(std::string* out, uint64_t offset) { kv::AppendVarint(out, offset + 1); }
  static void Take(kv::ByteParser* parser, uint64_t* offset) {
    const uint64_t taken = parser->Varint();
    if (taken == 0 || taken - 1 > kMaxFileBytes) return parser->Fail("is an offset out of range");
    *offset = taken - 1;
  }
};

struct InodeFields {
  static constexpr kv::RecordKind kKind = {'I', 1, "inode record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& inode) {
    fields.Enum(1, inode.type, FileType::kBlockDevice);
    fields.Require(1);
    fields.Integer(2, inode.mode);
    fields.Integer(3, inode.uid);
    fields.Integer(4, inode.gid);
    fields.Integer(5, inode.link_count);
    fields.Integer(6, inode.size_bytes);
    fields.Value(7, inode.atime_ns, SignedCodec());
    fields.Value(8, inode.mtime_ns, SignedCodec());
    fields.Value(9, inode.ctime_ns, SignedCodec());
    fields.Value(10, inode.birth_ns, SignedCodec());
    fields.Integer(11, inode.change);
    fields.Integer(12, inode.subdirectory_count);
    fields.Integer(13, inode.device);
    fields.Integer(14, inode.parent);
    fields.Integer(15, inode.name_hash);
    fields.Integer(16, inode.quota);
    fields.Nested(17, inode.layout, LayoutFields());
    fields.Value(18, inode.trim_from, OptionalOf<OffsetCodec>());
    fields.Text(19, inode.inline_data);
    fields.Text(20, inode.symlink_target);
    fields.Integer(21, inode.born_epoch);
    fields.Integer(22, inode.stored_blocks);
  }
};

struct TouchFields {
  static constexpr kv::RecordKind kKind = {'T', 1, "directory touch"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& touch) {
    fields.Value(1, touch.mtime_ns, SignedCodec());
    fields.Value(2, touch.ctime_ns, SignedCodec());
  }
};

struct EntryFields {
  static constexpr kv::RecordKind kKind = {'D', 1, "directory entry"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& entry) {
    fields.Integer(1, entry.inode);
    fields.Require(1);
    fields.Enum(2, entry.type, FileType::kBlockDevice);
    fields.Require(2);
  }
};

struct LinkFields {
  static constexpr kv::RecordKind kKind = {'P', 1, "link record"};
  template <typename Fields, typename Record>
  static void List(Fields& /*fields*/, Record& /*link*/) {}
};

struct AttributeFields {
  static constexpr kv::RecordKind kKind = {'X', 1, "extended attribute"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& attribute) {
    fields.Text(1, attribute.value);
  }
};

struct OrphanFields {
  static constexpr kv::RecordKind kKind = {'O', 1, "orphan record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& orphan) {
    fields.Integer(1, orphan.since_ns);
  }
};

struct ExtentFields {
  static constexpr kv::RecordKind kKind = {'E', 1, "extent record"};
  template <typename Fields, typename Record>
  static void List(Fields& fields, Record& extent) {
    fields.Integer(1, extent.length_bytes);
    fields.Integer(2, extent.group);
    fields.Integer(3, extent.column);
    fields.Integer(4, extent.unit_blocks);
    fields.Integer(5, extent.stripe_count);
    fields.Integer(6, extent.birth);
    fields.Integer(7, extent.stripe_bytes);
    fields.Integer(8, extent.payload_offset);
    fields.Enum(9, extent.codec, Codec::kZstd);
    fields.Integer(10, extent.stored_bytes);
    fields.Integer(11, extent.raw_bytes);
    fields.Integer(12, extent.raw_offset);
    fields.Integer(13, extent.born_epoch);
    fields.Integer(14, extent.written_ns);
  }
};

string_view WhatIsWrongWithInode(const InodeRecord& inode) {
  if (inode.type < FileType::kRegular) return "type 0";
  if (inode.mode > 07777) return "mode out of range";
  if (inode.size_bytes > kMaxFileBytes) return "size out of range";
  if (inode.inline_data.size() > kMaxInlineBytes) return "more inline data than there may be";
  if (inode.symlink_target.size() > kMaxSymlinkBytes) return "symlink target too long";
  if ((inode.type == FileType::kSymlink) == inode.symlink_target.empty()) {
    return "a symlink has a target, and nothing else has";
  }
  if (inode.layout.pool > kMaxPools) return "pool out of range";
  return "";
}

string_view WhatIsWrongWithExtent(const ExtentRecord& extent) {
  if (extent.group == 0 || extent.birth == 0) return "no stripe";
  if (extent.unit_blocks < 1 || extent.unit_blocks > kMaxUnitBlocks) return "unit length";
  const uint64_t most_bytes = uint64_t{kMaxUnits} * extent.unit_blocks * kBlockBytes;
  if (extent.stripe_bytes == 0 || extent.stripe_bytes > most_bytes) return "payload length";
  const uint64_t columns = uint64_t{extent.stripe_count} * (1 + extent.unit_blocks);
  if (extent.stripe_count == 0 || extent.column + columns > BitmapCodec::kMaxBits) {
    return "stripes beyond any segment";
  }
  if (extent.length_bytes == 0 || extent.payload_offset >= extent.stripe_bytes) return "no bytes";
  const uint64_t run_bytes = uint64_t{extent.stripe_count} * extent.stripe_bytes;
  if (extent.codec == Codec::kNone) {
    if (extent.stored_bytes != 0 || extent.raw_bytes != 0 || extent.raw_offset != 0) {
      return "sizes of a compressed record";
    }
    if (extent.length_bytes > run_bytes - extent.payload_offset)
      return "more than its stripes hold";
    return "";
  }
  if (extent.stripe_count != 1) return "a run of compressed stripes";
  if (extent.stored_bytes == 0 || extent.stored_bytes >= extent.raw_bytes ||
      extent.stored_bytes > extent.stripe_bytes - extent.payload_offset) {
    return "sizes of a compressed record";
  }
  if (extent.raw_offset >= extent.raw_bytes ||
      extent.length_bytes > extent.raw_bytes - extent.raw_offset) {
    return "more than its record holds";
  }
  return "";
}

}  // namespace

std::string Encode(const InodeRecord& record) { return kv::EncodeRecord<InodeFields>(record); }
std::string Encode(const TouchRecord& record) { return kv::EncodeRecord<TouchFields>(record); }
std::string Encode(const EntryRecord& record) { return kv::EncodeRecord<EntryFields>(record); }
std::string Encode(const LinkRecord& record) { return kv::EncodeRecord<LinkFields>(record); }
std::string Encode(const AttributeRecord& record) {
  return kv::EncodeRecord<AttributeFields>(record);
}
std::string Encode(const OrphanRecord& record) { return kv::EncodeRecord<OrphanFields>(record); }
std::string Encode(const ExtentRecord& record) { return kv::EncodeRecord<ExtentFields>(record); }

absl::StatusOr<InodeRecord> DecodeInode(std::string_view value) {
  return DecodeChecked<InodeFields, InodeRecord>(value, WhatIsWrongWithInode);
}
absl::StatusOr<TouchRecord> DecodeTouch(std::string_view value) {
  return DecodeAny<TouchFields, TouchRecord>(value);
}
absl::StatusOr<EntryRecord> DecodeEntry(std::string_view value) {
  return DecodeAny<EntryFields, EntryRecord>(value);
}
absl::StatusOr<LinkRecord> DecodeLink(std::string_view value) {
  return DecodeAny<LinkFields, LinkRecord>(value);
}
absl::StatusOr<AttributeRecord> DecodeAttribute(std::string_view value) {
  return DecodeChecked<AttributeFields, AttributeRecord>(
      value, [](const AttributeRecord& attribute) {
        return attribute.value.size() <= kMaxAttributeBytes ? string_view()
                                                            : string_view("value too long");
      });
}
absl::StatusOr<OrphanRecord> DecodeOrphan(std::string_view value) {
  return DecodeAny<OrphanFields, OrphanRecord>(value);
}
absl::StatusOr<ExtentRecord> DecodeExtent(std::string_view value) {
  return DecodeChecked<ExtentFields, ExtentRecord>(value, WhatIsWrongWithExtent);
}

}  // namespace strata::ofs
