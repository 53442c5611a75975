// SPDX-License-Identifier: Apache-2.0
//
// The source of the targets that compile the headers here.
