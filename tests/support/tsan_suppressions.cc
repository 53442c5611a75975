// SPDX-License-Identifier: Apache-2.0
//
// Part of every program that is built with the thread sanitizer. Debian's RocksDB, and what it
// compresses with, is not, so the sanitizer misses the order that their atomics make and takes
// their reads and writes for races.
//
// The same holds for Debian's Abseil and the text of a status. Each copy of an absl::Status counts
// as one reference to the text, and the last one to go deletes it. The decrement has acquire and
// release order, but it lies in libabsl_status.so. So the sanitizer takes the deletion for a race
// with a thread that read the text through its own copy. The status objects themselves stay
// checked: what reads or writes them is compiled into the test.
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:librocksdb.so\n"
         "called_from_lib:liblz4.so\n"
         "called_from_lib:libzstd.so\n"
         "race:librocksdb.so\n"
         "race:rocksdb::\n"
         "race:absl::*::Status::Unref\n";
}
