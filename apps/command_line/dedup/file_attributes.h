// SPDX-License-Identifier: Apache-2.0
//
// Modes, owners, times and extended attributes of files, to entries of the catalogue and back. What
// cannot be kept is said, never dropped in silence.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "strata/dedup/catalogue.h"

namespace strata::appliance {

// Kind, mode, owner, times, device number. False: the catalogue has no such kind (a socket).
bool TakeAttributes(const struct stat& info, dedup::CatalogueEntry* entry);

// Attributes user.*, ACLs and capabilities of an open file or folder. Appends what is not kept.
void TakeXattrs(int fd, dedup::CatalogueEntry* entry, std::vector<std::string>* not_kept);

// Gives them to an open file or folder; times last. Appends what is not kept.
void GiveAttributes(int fd, const dedup::CatalogueEntry& entry, std::vector<std::string>* not_kept);

// The same for a symbolic link, pipe or device, by its name.
void GiveAttributesAt(int folder_fd, const char* name, const dedup::CatalogueEntry& entry,
                      std::vector<std::string>* not_kept);

}  // namespace strata::appliance
