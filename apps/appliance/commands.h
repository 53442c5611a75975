// SPDX-License-Identifier: Apache-2.0
//
// What an operator can ask of an appliance, by name and with JSON arguments, answered in JSON.
// strata runs a command here itself when no stratad holds the data directory, else sends it there:
// the answers are the same.
//
//   name             arguments                                  answer
//   stat                                                        sizes, counts, ratios (see below)
//   gc               rewrite_below, max_rate                    the collection's report
//   verify           quick                                      the report; "damaged" says whether
//   rebuild-index                                               {}
//   user.list                                                   {users: [...]}
//   user.add         id, display_name, admin, access_key,       the user with its key
//                    secret_key
//   user.remove      id                                         {}
//   user.key.list    id                                         {keys: [...]}, without secrets
//   user.key.add     id, access_key, secret_key                 the key
//   user.key.remove  access_key                                 {}
//   bucket.list                                                 {buckets: [...]}
//   bucket.create    name, owner                                {}
//   bucket.remove    name                                       {}
//   bucket.usage     name (empty: all)                          {buckets: [...]}
//   nvme.*           nvme/nvme_commands.h
//
// Thread-safe.
#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "appliance/appliance.h"
#include "appliance/json_fwd.h"
#include "strata/dedup/store.h"

namespace strata::appliance {

// `progress` hears of the long commands and may cancel them. Unimplemented: no such command;
// InvalidArgument: an argument, named; otherwise what the store says.
absl::StatusOr<Json> RunCommand(Appliance& appliance, std::string_view name, const Json& arguments,
                                const dedup::ProgressCallback& progress);

// Where the stores stand: what `stat` answers. Quick enough to ask every second.
Json StatJson(Appliance& appliance);

}  // namespace strata::appliance
