// SPDX-License-Identifier: Apache-2.0
//
// Names for a target that has no place to keep any: the same arguments give the same names, so that
// a host finds its namespaces again after a restart.
//
// Pure but for the machine's id; thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace strata::appliance {

// A UUID of version 8 (RFC 9562) that depends on the texts and on nothing else.
std::array<std::byte, 16> DerivedUuid(std::span<const std::string> texts);

// "nqn.2014-08.org.nvmexpress:uuid:...", of this machine, the address and the devices.
std::string DerivedNqn(std::string_view listen, std::span<const std::string> uris);

// At most 20 characters.
std::string DerivedSerialNumber(const std::string& nqn);

// Of a namespace. Options of the URI do not count: a file that grew is the same file.
std::array<std::byte, 16> DerivedNamespaceUuid(const std::string& nqn, uint32_t nsid,
                                               const std::string& uri);

}  // namespace strata::appliance
