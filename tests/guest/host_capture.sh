# SPDX-License-Identifier: Apache-2.0
#
# Wireshark reads a captured session between Linux's host and our target, digests included, and finds no
# malformed packet in it.
# limit: 240
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:capture

analyse() {
  tshark -n -r /media/capture.pcapng -d tcp.port==4420,nvme-tcp -o nvme-tcp.check_hdgst:TRUE \
    -o nvme-tcp.check_ddgst:TRUE "$@"
}

check "serve" start_server "mem:?size=64M" --nqn $nqn --listen 127.0.0.1:4420 --allow-any-host
dumpcap -q -i lo -f "tcp port 4420" -w /media/capture.pcapng 2>/media/dumpcap.log &
dumpcap=$!
check "the capture begins" wait_for 20 grep -q "File: " /media/dumpcap.log
prints "discover" "subnqn: *$nqn" nvme_discover 4420
check "connect" nvme_connect 4420 $nqn -g -G
disk=$(connected_disk $nqn)
check "fio verifies" verified_fio "$disk" --size=512k
check "fio verifies large transfers" verified_fio "$disk" --size=2M --bs=256k
check "write-zeroes" nvme write-zeroes "$disk" -s 0 -c 7
check "disconnect" nvme disconnect -n $nqn
kill -INT $dumpcap
wait $dumpcap

check "Wireshark reads it" analyse -Y _ws.malformed
check "no packet is malformed" test -z "$(analyse -Y _ws.malformed 2>/dev/null)"

# A packet's PDU types, and whether its digests are right (1) or wrong (0).
analyse -T fields -e nvme-tcp.type -e nvme-tcp.hdgst.status -e nvme-tcp.ddgst.status >/media/fields 2>/dev/null
holds() {  # COLUMN VALUE: some packet has the value in the column
  cut -f "$1" /media/fields | tr , '\n' | grep -qx "$2"
}
lacks() { ! holds "$@"; }
for type in 0 1 4 5 6 7 9; do
  check "PDUs of type $type are in it" holds 1 $type
done
check "header digests are verified" holds 2 1
check "data digests are verified" holds 3 1
check "no header digest is wrong" lacks 2 0
check "no data digest is wrong" lacks 3 0
check "the server ends" end_server
finish
