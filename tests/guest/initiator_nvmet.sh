# SPDX-License-Identifier: Apache-2.0
#
# Our initiator on Linux's target: discovery, every pair of digests, verified reads and writes, and a target
# that goes away and comes back.
# limit: 400
# memory: 1G
# dmesg: nvmet: connect request for invalid subsystem .*-wrong
# dmesg: nvmet_tcp: failed cmd .* opcode 2, data_len: 4096
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:linux
uuid=5e0f4a0c-33a1-4f0e-9d56-0000000000a1
place=nvme-tcp:127.0.0.1:4420
uri="$place/$nqn?nsid=1"

serve_linux() {
  nvmet_subsystem $nqn && nvmet_namespace $nqn 1 /dev/disk0 $uuid && nvmet_port 1 4420 && nvmet_link 1 $nqn
}

bench() { strata --json nvme bench "$@" --seed 7; }

check "a disk in memory" memory_disk disk0 320
check "Linux serves it" serve_linux
prints "discover" "$nqn" strata nvme discover 127.0.0.1:4420
for digests in "" "?hdgst=1" "?ddgst=1" "?hdgst=1&ddgst=1"; do
  prints "connect$digests" "$nqn" strata nvme connect "$place/$nqn$digests"
done
prints "list" "$uuid" strata --json nvme list "$place/$nqn"
prints "id-ctrl" '"Linux"' strata --json nvme id-ctrl "$uri"
prints "id-ns" "655360" strata --json nvme id-ns "$uri"
check "get-log" strata nvme get-log "$uri" --page 2 --length 512

head -c 8M /dev/urandom >/media/content
copies() {  # URI: a file goes to the disk and comes back
  strata nvme write "$1" --input /media/content --offset 4M &&
    strata nvme read "$1" --output /media/back --force --offset 4M --length 8M && cmp /media/content /media/back
}

for digests in "" "&hdgst=1" "&ddgst=1" "&hdgst=1&ddgst=1"; do
  check "a file there and back$digests" copies "$uri$digests"
  check "reads and writes of 4 KiB verify$digests" bench "$uri$digests" --rw randrw --verify --seconds 1
  check "reads and writes of 256 KiB verify$digests" \
    bench "$uri$digests" --rw randrw --verify --seconds 1 --block 256K --depth 16
done

# Reads, writes, forced ones, flushes, discards and zeroes at random, against a model of each block.
operations() {  # URI
  STRATA_TEST_TARGET=$1 "$programs/../tests/nvmeof_fault_test" "all operations that every target has do what they should"
}
check "a disk with blocks of 4 KiB" memory_disk disk1 16 4096
check "Linux serves it as another namespace" nvmet_namespace $nqn 2 /dev/disk1
for digests in "" "&hdgst=1&ddgst=1"; do
  check "all operations$digests" operations "$place/$nqn?nsid=2$digests"
done
check "the namespace goes" nvmet_namespace_goes $nqn 2

writes_a_gibibyte() {
  local written=0
  while [ $written -lt $((1 << 30)) ]; do
    bench "$uri" --rw randwrite --verify --block 128K --seconds 3 >/media/answer || return
    written=$((written + $(sed 's/.*"bytes": *\([0-9]*\).*/\1/p;d' /media/answer)))
  done
}
check "a gibibyte is written at random and read back" writes_a_gibibyte

refuses "a wrong NQN" "-wrong" strata nvme id-ctrl "$place/$nqn-wrong"
refuses "an absent namespace" "[Nn]amespace 9|nsid.*9" strata nvme read "$place/$nqn?nsid=9" --output /media/none
refuses "nobody listens" "127.0.0.1:4421" strata nvme id-ctrl "nvme-tcp:127.0.0.1:4421/$nqn"

# The target under a load of reads: they are sent again. What was written when the connection broke has an
# unknown end, and the load says so.

under_load() {  # COMMAND...: while the disk is read
  bench "$uri" --rw randread --seconds 8 >/media/load.log 2>&1 &
  load=$!
  sleep 2
  "$@"
}
port_goes() { nvmet_unlink 1 $nqn && sleep 1 && nvmet_link 1 $nqn; }
target_is_rebuilt() { nvmet_remove && sleep 1 && serve_linux; }
enabled() { echo "$1" >$nvmet/subsystems/$nqn/namespaces/1/enable; }

for event in port_goes target_is_rebuilt; do
  check "$event under load" under_load $event
  check "the load goes on: $event" ended_well $load /media/load.log
  check "reads and writes verify after: $event" bench "$uri" --rw randrw --verify --seconds 1
done

bench "$uri" --rw randwrite --seconds 60 >/media/load.log 2>&1 &
load=$!
sleep 2
check "the port goes under writes" port_goes
# They are sent again: the new controller says that the lost one is gone.
check "the writes go on" ended_well $load /media/load.log
check "reads and writes verify after that" bench "$uri" --rw randrw --verify --seconds 2

bench "$uri" --rw randread --seconds 60 >/media/load.log 2>&1 &
load=$!
sleep 2
check "the namespace is disabled under load" enabled 0
refuses "the load says so" "operation .* at block" ended_well $load /media/load.log
check "it is enabled" enabled 1
check "reads and writes verify on it" bench "$uri" --rw randrw --verify --seconds 2

check "the target goes" nvmet_remove
finish
