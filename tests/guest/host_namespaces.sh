# SPDX-License-Identifier: Apache-2.0
#
# Namespaces of a running stratad come, grow and go under Linux's host, while it uses another one.
# limit: 240
# memory: 1G
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:namespaces

start_stratad() {
  stratad --data /media/data >/media/stratad.log 2>&1 &
  stratad=$!
  wait_for 60 admin stat || { cat /media/stratad.log; return 1; }
}
admin() { strata --data /media/data "$@"; }
namespace() { local verb=$1; shift; admin nvme namespace "$verb" $nqn "$@"; }
size_is() { [ "$(blockdev --getsize64 "$1")" = $(($2 << 20)) ]; }
lacks_disk() { ! disk_of $nqn "$1"; }

check "stratad" start_stratad
check "a subsystem" admin nvme subsystem create $nqn --allow-any-host
check "a namespace" namespace add "file:/media/first?size=64M&create=1"
prints "it is discovered" "subnqn: *$nqn" nvme_discover 8009
check "connect" nvme_connect 4420 $nqn
first=$(connected_disk $nqn 1)
check "a file system on it" mkfs.ext4 -q -F "$first"
mkdir /media/mounted
check "mounted" mount -t ext4 "$first" /media/mounted
verified_fio /media/mounted/load --size=24M --rate=1m,1m >/media/fio.log 2>&1 &
load=$!

check "a second namespace" namespace add "file:/media/second?size=32M&create=1"
check "it appears within two seconds" wait_for 2 disk_of $nqn 2
second=$(disk_of $nqn 2)
check "with its size" size_is "$second" 32
check "fio verifies on it" verified_fio "$second" --size=8M
check "it is grown" namespace set 2 --size 48M
check "the host sees the new size within two seconds" wait_for 2 size_is "$second" 48
check "fio verifies on what it gained" verified_fio "$second" --offset=32M --size=8M
check "it is hidden from this host" namespace set 2 --hosts nqn.2026-11.org.example:stranger
check "it goes" wait_for 2 lacks_disk 2
check "it is shown to all" namespace set 2 --all-hosts
check "it appears again" wait_for 2 disk_of $nqn 2
check "the first one is still in use" kill -0 $load
check "it is removed" namespace remove 2
check "it goes for good within two seconds" wait_for 2 lacks_disk 2
prints "who is connected" "$host_nqn" admin nvme connections

check "the first one never noticed" ended_well $load /media/fio.log
check "unmounted" umount /media/mounted
check "and it is whole" e2fsck -f -n "$first"
check "disconnect" nvme disconnect -n $nqn
kill $stratad
check "stratad ends" ended_well $stratad /media/stratad.log
finish
