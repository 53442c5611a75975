// SPDX-License-Identifier: Apache-2.0
//
// Attributes of libofs as Linux has them, and back. Pure.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstdint>

#include "strata/ofs/file_system.h"
#include "strata/ofs/nodes.h"

namespace strata::ofs {

// `may_have_more`: the kernel may have data of the file that it has not sent. Where there is
// anything that may be data, blocks are not zero: programs take such a file for one large hole.
struct stat ToStat(const Attributes& attributes, bool may_have_more);

// S_IFREG and its like.
mode_t TypeBits(FileType type);
// False: no type of a file.
bool ToFileType(mode_t mode, FileType* type);

// `valid` are bits FUSE_SET_ATTR_*. "Now" is `now_ns`.
AttributeChanges ToChanges(const struct stat& wanted, int valid, int64_t now_ns);

struct statvfs ToStatVfs(const SpaceUse& use);

}  // namespace strata::ofs
