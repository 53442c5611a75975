// SPDX-License-Identifier: Apache-2.0
//
// STRATA_EXPORT marks the classes and functions that a shared library of the suite offers.
// Everything else is hidden: the libraries are compiled with -fvisibility=hidden.
#pragma once

#define STRATA_EXPORT __attribute__((visibility("default")))
