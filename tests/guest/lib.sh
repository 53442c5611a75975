# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of this folder share. A script sources it, calls `check` and its kin, and ends with
# `finish`. Everything that is written goes below /media, which is memory.
#
#   check NAME COMMAND...            passes when the command exits with 0
#   refuses NAME REGEX COMMAND...    passes when the command fails and prints a line that matches
#   prints NAME REGEX COMMAND...     passes when the command exits with 0 and prints a line that matches
#   wait_for SECONDS COMMAND...      tries the command until it exits with 0
#
# A check that fails shows what its command printed.
set -u
here=$(dirname "${BASH_SOURCE[1]}")
programs=${PATH%%:*}  # Of the build; its tests are beside them.

host_nqn=nqn.2014-08.org.nvmexpress:uuid:5e0f4a0c-33a1-4f0e-9d56-000000000001
host_id=5e0f4a0c-33a1-4f0e-9d56-000000000001
checks_passed=0
checks_failed=0

# Checks

# Runs a command in this shell, so that it may start servers, and keeps what it prints.
attempt() {
  "$@" >"$TMPDIR/attempt" 2>&1
  local status=$?
  LC_ALL=C tr -d '\000' <"$TMPDIR/attempt" >"$TMPDIR/printed"
  return $status
}

printed_line() { grep -Eq -- "$1" "$TMPDIR/printed"; }  # REGEX

# The time is that of the kernel log.
record() {  # NAME STATUS EXPLANATION
  local now
  read -r now _ </proc/uptime
  if [ "$2" -eq 0 ]; then
    checks_passed=$((checks_passed + 1))
    printf 'ok    [%7s] %s\n' "$now" "$1"
    return
  fi
  checks_failed=$((checks_failed + 1))
  printf 'FAIL  [%7s] %s\n' "$now" "$1"
  local lines
  mapfile -t lines <"$TMPDIR/printed"
  [ ${#lines[@]} -le 40 ] || lines=("${lines[@]:0:15}" "..." "${lines[@]: -24}")
  printf '      | %s\n' "$3" "${lines[@]}"
}

check() {
  local name=$1 status
  shift
  attempt "$@"
  status=$?
  record "$name" $status "exit status $status of: $*"
}

prints() {
  local name=$1 pattern=$2 status
  shift 2
  attempt "$@"
  status=$?
  [ $status -eq 0 ] && printed_line "$pattern"
  record "$name" $? "exit status $status and no line like '$pattern' of: $*"
}

refuses() {
  local name=$1 pattern=$2 status
  shift 2
  attempt "$@"
  status=$?
  [ $status -ne 0 ] && [ $status -lt 128 ] && printed_line "$pattern"
  record "$name" $? "exit status $status, wanted a failure with a line like '$pattern' of: $*"
}

wait_for() {
  local limit_s=$1 start=$SECONDS
  shift
  until "$@" >/dev/null 2>&1; do
    [ $((SECONDS - start)) -lt "$limit_s" ] || return 1
    sleep 0.1
  done
}

ended_well() {  # PID LOG: waits for a process that writes to the log
  wait "$1" || { cat "$2"; return 1; }
}

finish() {
  echo "$checks_passed passed, $checks_failed failed"
  [ $checks_passed -gt 0 ] && [ $checks_failed -eq 0 ]
  exit
}

# The Linux host

nvme_connect() {  # PORT NQN [OPTION...]
  local port=$1 nqn=$2
  shift 2
  nvme connect -t tcp -a 127.0.0.1 -s "$port" -n "$nqn" --hostnqn "$host_nqn" --hostid "$host_id" "$@"
}

nvme_discover() {  # PORT [OPTION...]
  local port=$1
  shift
  nvme discover -t tcp -a 127.0.0.1 -s "$port" --hostnqn "$host_nqn" --hostid "$host_id" "$@"
}

# The controllers of a subsystem, as "nvme0", one a line.
controllers_of() {  # NQN
  local folder
  for folder in /sys/class/nvme/nvme*; do
    [ "$(cat "$folder/subsysnqn" 2>/dev/null)" = "$1" ] && basename "$folder"
  done
}

# Prints the block device of a subsystem's namespace, when it is there: /dev/nvme0n1.
disk_of() {  # NQN [NSID]
  local subsystem disk
  for subsystem in /sys/class/nvme-subsystem/nvme-subsys*; do
    [ "$(cat "$subsystem/subsysnqn" 2>/dev/null)" = "$1" ] || continue
    for disk in "$subsystem"/nvme*n*; do
      disk=$(basename "$disk")
      [ "$(cat "/sys/block/$disk/nsid" 2>/dev/null)" = "${2:-1}" ] && [ -b "/dev/$disk" ] || continue
      echo "/dev/$disk"
      return 0
    done
  done
  return 1
}

connected_disk() {  # NQN [NSID]: waits for the disk
  wait_for 20 disk_of "$@" && disk_of "$@"
}

gone() {  # NQN: no controller is left of it
  [ -z "$(controllers_of "$1")" ]
}

# Random reads and writes with a verification of every block; the rest of the arguments are fio's.
verified_fio() {  # FILE [OPTION...]
  local file=$1
  shift
  (cd "$TMPDIR" && fio --name=verified --filename="$file" --rw=randrw --bs=4k --iodepth=32 --ioengine=libaio \
    --direct=1 --verify=crc32c --verify_fatal=1 --randrepeat=0 --norandommap=0 --group_reporting "$@")
}

# Makes a file system on a disk, copies a folder onto it, and finds the same there after a remount.
file_system_holds() {  # TYPE DISK FOLDER
  local type=$1 disk=$2 folder=$3 point=/media/mounted
  mkdir -p $point || return
  case $type in
    ext4) mkfs.ext4 -q -F "$disk" ;;
    xfs) mkfs.xfs -q -f "$disk" ;;
  esac || return
  mount -t "$type" "$disk" $point || return
  cp -a "$folder" $point/copy && sync && umount $point || return
  mount -t "$type" "$disk" $point && diff -r --no-dereference "$folder" $point/copy
  local same=$?
  umount $point && [ $same -eq 0 ] || return
  case $type in
    ext4) e2fsck -f -n "$disk" ;;
    xfs) xfs_repair -n "$disk" ;;
  esac
}

# A target of ours

# Starts `strata nvme serve ARGUMENT...`; its pid is in $server, its output in the file $server_log.
server=""
server_log=/media/server.log
start_server() {
  : >$server_log
  strata nvme serve "$@" >>$server_log 2>&1 &
  server=$!
  wait_for 20 server_listens || { echo "the server does not listen:"; cat $server_log; return 1; }
}

server_listens() {
  kill -0 "$server" && grep -qi "listen" $server_log
}

# Ends the server. With a signal of your choice its exit status does not matter.
end_server() {  # [SIGNAL]
  kill -"${1:-TERM}" "$server" || return
  wait "$server"
  [ $? -eq 0 ] || [ -n "${1:-}" ] || { cat $server_log; return 1; }
}

# A target of Linux

nvmet=/sys/kernel/config/nvmet

# The serial number, which is random otherwise, is that of the same target after it was removed.
nvmet_subsystem() {  # NQN: for any host; it may be there already
  local folder=$nvmet/subsystems/$1
  [ -d "$folder" ] || { mkdir "$folder" && echo 5e0f4a0c33a14f0e >"$folder/attr_serial"; } || return
  echo 1 >"$folder/attr_allow_any_host"
}

# Linux's host takes a namespace that comes back with another UUID for another one.
nvmet_namespace() {  # NQN NSID PATH [UUID]
  local folder=$nvmet/subsystems/$1/namespaces/$2
  mkdir "$folder" && echo -n "$3" >"$folder/device_path" &&
    { [ -z "${4:-}" ] || echo "$4" >"$folder/device_uuid"; } && echo 1 >"$folder/enable"
}

nvmet_namespace_goes() {  # NQN NSID
  rmdir $nvmet/subsystems/"$1"/namespaces/"$2"
}

nvmet_port() {  # ID PORT
  local folder=$nvmet/ports/$1
  mkdir "$folder" || return
  echo tcp >"$folder/addr_trtype"
  echo ipv4 >"$folder/addr_adrfam"
  echo 127.0.0.1 >"$folder/addr_traddr"
  echo "$2" >"$folder/addr_trsvcid"
}

nvmet_link() {  # ID NQN: the port serves the subsystem
  ln -s $nvmet/subsystems/"$2" $nvmet/ports/"$1"/subsystems/"$2"
}

nvmet_unlink() {  # ID NQN
  rm $nvmet/ports/"$1"/subsystems/"$2"
}

# Removes everything but the subsystems: the kernel warns when one goes before its last controller has.
nvmet_remove() {
  rm -f $nvmet/ports/*/subsystems/* $nvmet/subsystems/*/allowed_hosts/*
  local folder
  for folder in $nvmet/ports/* $nvmet/subsystems/*/namespaces/* $nvmet/hosts/*; do
    [ ! -d "$folder" ] || rmdir "$folder"
  done
}

# Makes a block device that keeps its data in memory: /dev/NAME.
memory_disk() {  # NAME SIZE_MIB [BLOCK_SIZE]
  local folder=/sys/kernel/config/nullb/$1
  mkdir "$folder" && echo 1 >"$folder/memory_backed" && echo "$2" >"$folder/size" &&
    echo "${3:-512}" >"$folder/blocksize" && echo 1 >"$folder/discard" && echo 1 >"$folder/power" &&
    wait_for 5 test -b "/dev/$1"
}
