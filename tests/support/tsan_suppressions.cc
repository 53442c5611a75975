// SPDX-License-Identifier: Apache-2.0
//
// Part of every program that is built with the thread sanitizer. Debian's RocksDB, and what it
// compresses with, is not, so the sanitizer misses the order that their atomics make and takes
// their reads and writes for races.
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:librocksdb.so\n"
         "called_from_lib:liblz4.so\n"
         "called_from_lib:libzstd.so\n"
         "race:librocksdb.so\n"
         "race:rocksdb::\n";
}
