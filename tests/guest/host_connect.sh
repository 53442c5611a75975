# SPDX-License-Identifier: Apache-2.0
#
# Linux's host finds our target, connects to it with every option, and is refused where it has to be.
# limit: 240
# dmesg: Connect Invalid Data Parameter, subsysnqn ".*-wrong"
# dmesg: Connect for subsystem .* is not allowed, hostnqn: .*-stranger
# dmesg: failed to connect queue: 0 ret=(16770|16772)$
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:connect

check "serve" start_server "mem:?size=64M" --nqn $nqn --listen 127.0.0.1:4420 \
  --discovery 127.0.0.1:8009 --allow-any-host
prints "discover" "subnqn: *$nqn" nvme_discover 4420
prints "discovery tells the port" "trsvcid: *4420" nvme_discover 4420
prints "discovery on its own port" "subnqn: *$nqn" nvme_discover 8009
prints "the discovery subsystem is named" "subtype: *current discovery subsystem" nvme_discover 4420

connects() {  # OPTION...: connects, writes and reads, disconnects
  check "connect $*" nvme_connect 4420 $nqn "$@"
  local disk
  disk=$(connected_disk $nqn)
  check "  the disk has its size" test "$(blockdev --getsize64 "$disk")" = $((64 << 20))
  check "  fio verifies" verified_fio "$disk" --size=4M
  check "  fio verifies large transfers" verified_fio "$disk" --size=32M --bs=512k --iodepth=4
  check "  disconnect" nvme disconnect -n $nqn
  check "  the controller is gone" wait_for 10 gone $nqn
}

connects
connects -g
connects -G
connects -g -G
connects -d
connects -d -g -G
connects -i 1 -W 1 -P 1
connects -Q 1024
connects -k 1
connects -k 0

# nvme-cli 2.3 has -D and does not pass it on.
connect_again() {
  echo "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$nqn,hostnqn=$host_nqn,hostid=$host_id,duplicate_connect" \
    >/dev/nvme-fabrics
}

check "the first of two connections" nvme_connect 4420 $nqn
refuses "a second one by mistake" "already connected" nvme_connect 4420 $nqn
check "a second one on purpose" connect_again
disk=$(connected_disk $nqn)
check "two controllers, one disk" test "$(controllers_of $nqn | wc -l)" = 2
prints "list-subsys shows the first" "nvme0 tcp traddr=127.0.0.1,trsvcid=4420.* live" nvme list-subsys
prints "list-subsys shows the second" "nvme1 tcp traddr=127.0.0.1,trsvcid=4420.* live" nvme list-subsys
check "fio verifies on two paths" verified_fio "$disk" --size=4M
check "one path goes" nvme disconnect -d nvme0
check "fio verifies on the other path" verified_fio "$disk" --size=4M
check "the other path goes" nvme disconnect -d nvme1
check "no controller is left" wait_for 10 gone $nqn

refuses "a wrong NQN" "failed to (connect|write)" nvme_connect 4420 $nqn-wrong
check "the right one still connects" nvme_connect 4420 $nqn
check "and disconnects" nvme disconnect -n $nqn
check "the server ends" end_server

check "serve on IPv6" start_server "mem:?size=64M" --nqn $nqn --listen "[::1]:4420" --allow-any-host
prints "discover on IPv6" "traddr: *::1" nvme discover -t tcp -a ::1 -s 4420 --hostnqn "$host_nqn" --hostid "$host_id"
check "connect on IPv6" nvme connect -t tcp -a ::1 -s 4420 -n $nqn --hostnqn "$host_nqn" --hostid "$host_id"
check "fio verifies on IPv6" verified_fio "$(connected_disk $nqn)" --size=4M
check "disconnect on IPv6" nvme disconnect -n $nqn
check "the server ends" end_server

check "serve one host" start_server "mem:?size=64M" --nqn $nqn --listen 127.0.0.1:4420 --host "$host_nqn"
check "that host connects" nvme_connect 4420 $nqn
check "that host disconnects" nvme disconnect -n $nqn
host_nqn=$host_nqn-stranger
host_id=5e0f4a0c-33a1-4f0e-9d56-000000000002
refuses "another host is refused" "failed to (connect|write)" nvme_connect 4420 $nqn
check "another host does not see the subsystem" test -z "$(nvme_discover 4420 | grep "subnqn: *$nqn")"
check "the server ends" end_server
finish
