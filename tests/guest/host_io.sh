# SPDX-License-Identifier: Apache-2.0
#
# Linux's host makes file systems on disks of ours and loads them with reads and writes.
# limit: 400
# memory: 1G
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:io

on_disk() {  # URI TREE_FOR_EXT4 TREE_FOR_XFS OPTION...: serves it, connects with the options, loads it
  local uri=$1 ext4_tree=$2 xfs_tree=$3 disk
  shift 3
  check "serve $uri" start_server "$uri" --nqn $nqn --listen 127.0.0.1:4420 --allow-any-host
  check "  connect $*" nvme_connect 4420 $nqn "$@"
  disk=$(connected_disk $nqn)
  check "  fio verifies" verified_fio "$disk" --size=128M
  check "  fio verifies blocks of all sizes" verified_fio "$disk" --size=64M --bsrange=4k-512k --ba=4k
  check "  fio verifies what it trims first" verified_fio "$disk" --size=32M --rw=trimwrite --bs=64k
  check "  fio verifies with flushes" verified_fio "$disk" --size=8M --fsync=16
  check "  ext4 holds $ext4_tree" file_system_holds ext4 "$disk" "$ext4_tree"
  check "  xfs holds $xfs_tree" file_system_holds xfs "$disk" "$xfs_tree"
  check "  disconnect" nvme disconnect -n $nqn
  check "  the server ends" end_server
}

# The guest's memory holds the disk and the cache of what is copied.
on_disk "mem:?size=640M" /usr/include /usr/include/linux
on_disk "file:/media/disk?size=640M&create=1" /usr/include/linux /usr/include -g -G
finish
