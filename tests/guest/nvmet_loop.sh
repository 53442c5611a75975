# SPDX-License-Identifier: Apache-2.0
#
# Linux's host on Linux's target: the reference. What works here has to work with our ends, too, and a
# kernel warning that is not caused here must not be caused by them.
# limit: 240
# memory: 768M
# dmesg: nvme nvme0: starting error recovery
# dmesg: nvme nvme0: failed to connect socket: -111
# dmesg: block nvme0n1: no usable path - requeuing I/O
# dmesg: nvme_ns_head_submit_bio: [0-9]+ callbacks suppressed
# dmesg: nvmet: connect request for invalid subsystem .*-wrong
# dmesg: nvme0: Connect Invalid Data Parameter, subsysnqn ".*-wrong"
# dmesg: nvme0: failed to connect queue: 0 ret=16770
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:reference

check "a disk in memory" memory_disk disk0 384
check "a subsystem" nvmet_subsystem $nqn
check "a namespace" nvmet_namespace $nqn 1 /dev/disk0
check "a port" nvmet_port 1 4420
check "the port serves the subsystem" nvmet_link 1 $nqn

prints "discover" "subnqn: *$nqn" nvme_discover 4420
refuses "connect to a wrong NQN" "failed to" nvme_connect 4420 $nqn-wrong
for options in "" "-g" "-G" "-g -G" "-d" "-i 1 -W 1 -P 1"; do
  # shellcheck disable=SC2086
  check "connect $options" nvme_connect 4420 $nqn $options
  disk=$(connected_disk $nqn)
  check "fio verifies, connected with '$options'" verified_fio "$disk" --size=8M
  check "disconnect" nvme disconnect -n $nqn
  check "the controller is gone" wait_for 10 gone $nqn
done

check "connect" nvme_connect 4420 $nqn
disk=$(connected_disk $nqn)
check "fio verifies" verified_fio "$disk" --size=64M
check "ext4" file_system_holds ext4 "$disk" /usr/include/linux
check "xfs" file_system_holds xfs "$disk" /usr/include/linux
check "disconnect" nvme disconnect -n $nqn

# The target goes and comes back under load.
check "connect" nvme_connect 4420 $nqn --reconnect-delay=1 --ctrl-loss-tmo=60
disk=$(connected_disk $nqn)
verified_fio "$disk" --size=24M --rate=2m,2m >/media/fio.log 2>&1 &
load=$!
sleep 1
check "fio runs" kill -0 $load
check "the port goes" nvmet_unlink 1 $nqn
sleep 1
check "the port comes back" nvmet_link 1 $nqn
check "fio ends without an error" ended_well $load /media/fio.log
check "disconnect" nvme disconnect -n $nqn

check "the target goes away" nvmet_remove
finish
