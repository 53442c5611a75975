# SPDX-License-Identifier: Apache-2.0
#
# Our target on a file is killed and started again while Linux's host writes: no write that was
# acknowledged is lost, and the host's programs see no error.
# limit: 300
# dmesg: nvme nvme0: starting error recovery
# dmesg: nvme nvme0: failed to connect socket: -111
# dmesg: block nvme0n1: no usable path - requeuing I/O
# dmesg: nvme_ns_head_submit_bio: [0-9]+ callbacks suppressed
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:restart
uri="file:/media/disk?size=64M&create=1"

serve() { start_server "$uri" --nqn $nqn --listen 127.0.0.1:4420 --allow-any-host; }

restarts_under_fio() {  # OPTION...
  local disk load round
  check "connect $*" nvme_connect 4420 $nqn --reconnect-delay=1 --ctrl-loss-tmo=100 --keep-alive-tmo=5 "$@"
  disk=$(connected_disk $nqn)
  # At this rate it takes 12 s.
  verified_fio "$disk" --size=48M --rate=2m,2m >/media/fio.log 2>&1 &
  load=$!
  for round in 1 2 3; do
    sleep 1
    check "fio is still at it, round $round" kill -0 $load
    check "kill -9, round $round" end_server KILL
    sleep $((round - 1))  # From the second round on, the host finds nobody at first.
    check "serve again" serve
    check "the host is back" wait_for 30 live
  done
  check "fio ends without an error" ended_well $load /media/fio.log
  check "everything is there at the end" verified_fio "$disk" --size=48M
  check "disconnect" nvme disconnect -n $nqn
}

live() { [ "$(cat /sys/class/nvme/"$(controllers_of $nqn)"/state)" = live ]; }

check "serve" serve
restarts_under_fio
restarts_under_fio -g -G
check "the server ends" end_server
finish
