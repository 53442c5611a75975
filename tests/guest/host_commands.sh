# SPDX-License-Identifier: Apache-2.0
#
# What nvme-cli asks of our target gets its answer, and what is written is what is read.
# limit: 240
# dmesg: nvme nvme0: resetting controller
. "$(dirname "$0")/lib.sh"
nqn=nqn.2026-11.org.example:commands

check "serve" start_server "mem:?size=64M" --nqn $nqn --listen 127.0.0.1:4420 --allow-any-host
check "connect" nvme_connect 4420 $nqn
disk=$(connected_disk $nqn)
controller=/dev/$(controllers_of $nqn)
block_bytes=$(blockdev --getss "$disk")

# What it is

prints "list" "$disk .* 67\.11 *MB" nvme list
prints "list-subsys" "NQN=$nqn" nvme list-subsys
prints "id-ctrl: the NQN" "^subnqn *: $nqn" nvme id-ctrl "$controller"
prints "id-ctrl: namespaces" "^nn *: [1-9]" nvme id-ctrl "$controller"
prints "id-ctrl: keep alive" "^kas *: [1-9]" nvme id-ctrl "$controller"
prints "id-ctrl: SGLs in capsules" "^sgls *: 0x?[0-9a-f]*[1-9a-f]" nvme id-ctrl "$controller"
prints "id-ctrl: capsules of 8 KiB" "^ioccsz *: 516" nvme id-ctrl "$controller"
prints "id-ns: the size" "^nsze *: 0x$(printf %x $(((64 << 20) / block_bytes)))$" nvme id-ns "$disk"
prints "id-ns: the block size in use" "\(in use\)" nvme id-ns "$disk"
prints "ns-descs: a UUID" "^uuid *: *[0-9a-f-]{36}" nvme ns-descs "$disk"
prints "ns-descs: the command set" "^csi *: *0" nvme ns-descs "$disk"
prints "list-ns" "0\]: *0x1" nvme list-ns "$controller"
prints "list-ns --all" "0\]: *0x1" nvme list-ns "$controller" --all
prints "list-ctrl" "0\]: *0x1" nvme list-ctrl "$controller"
prints "cmdset-ind-id-ns" "nsfeat" nvme cmdset-ind-id-ns "$controller" -n 1
prints "nvm-id-ctrl" "wzsl" nvme nvm-id-ctrl "$controller"
check "nvm-id-ns" nvme nvm-id-ns "$disk"
check "id-iocs" nvme id-iocs "$controller"
prints "get-property: the version" "value: *(0x)?[12]" nvme get-property "$controller" -o 8
prints "id-ns of an inactive namespace" "^nsze *: 0$" nvme id-ns "$controller" -n 77
refuses "id-ns of an impossible namespace" "Invalid Namespace" nvme id-ns "$controller" -n 0xfffffff0
prints "identify with a long buffer" "^0000: 01 00 00 00" \
  nvme admin-passthru "$controller" --opcode=6 --data-len=8192 -r --cdw10=2
prints "id-ns by CNS 05 with a long buffer" "Success and result: 0x00000000" \
  nvme admin-passthru "$controller" --opcode=6 --namespace-id=1 --data-len=8192 -r --cdw10=5

# Log pages

prints "smart-log" "critical_warning[[:space:]]*: *0" nvme smart-log "$controller"
prints "error-log" "Error Log Entries for device" nvme error-log "$controller" -e 4
prints "fw-log" "Firmware Log for device" nvme fw-log "$controller"
prints "effects-log: Identify" "ACS6 *\[Identify *\]" nvme effects-log "$controller" --csi=0
prints "effects-log: Write Zeroes" "IOCS8 *\[Write Zeroes *\]" nvme effects-log "$controller" --csi=0
prints "supported-log-pages" "LID 0x2|SMART" nvme supported-log-pages "$controller" -v
check "changed-ns-list-log" nvme changed-ns-list-log "$controller"
prints "fid-support-effects-log" "FID|Feature" nvme fid-support-effects-log "$controller"
refuses "an unknown log page" "INVALID_LOG_PAGE|Invalid Log Page" nvme get-log "$controller" --log-id=0xc0 --log-len=512

# Features

for feature in 1 2 4 5 6 7 0xa 0xb 0xf; do
  prints "get-feature $feature" "Current value" nvme get-feature "$controller" -f $feature
  prints "get-feature $feature, what is supported" "capabilities|Supported|0x" \
    nvme get-feature "$controller" -f $feature -s 3
done
refuses "get-feature of an unknown one" "INVALID_FIELD|Invalid Field" nvme get-feature "$controller" -f 0xc5
check "set-feature" nvme set-feature "$controller" -f 4 -v 0x157
prints "the feature is set" "0x0*157" nvme get-feature "$controller" -f 4
prints "and its default is not" "Default value: *0x0*ffff" nvme get-feature "$controller" -f 4 -s 1
refuses "set-feature of an unknown one" "INVALID_FIELD|Invalid Field|NOT_CHANGEABLE" \
  nvme set-feature "$controller" -f 0xc5 -v 1

# Reads and writes

blocks=$((16384 / block_bytes))
last=$((blocks - 1))
head -c 16384 /dev/urandom >/media/ours
head -c 16384 /dev/urandom >/media/theirs
head -c 16384 /dev/zero >/media/zeroes

reads() {  # FIRST_BLOCK FILE: there is what the file has
  nvme read "$disk" -s "$1" -c $last -z 16384 -d /media/read && cmp /media/read "$2"
}

check "write" nvme write "$disk" -s 64 -c $last -z 16384 -d /media/ours
check "read" reads 64 /media/ours
check "write with FUA" nvme write "$disk" -s 128 -c $last -z 16384 -d /media/ours -f
check "read with FUA" nvme read "$disk" -s 128 -c $last -z 16384 -d /media/read -f
check "it is the same" cmp /media/read /media/ours
check "compare" nvme compare "$disk" -s 64 -c $last -z 16384 -d /media/ours
refuses "compare with something else" "COMPARE_FAILED|Compare Failure" \
  nvme compare "$disk" -s 64 -c $last -z 16384 -d /media/theirs
check "flush" nvme flush "$disk" -n 1
check "verify" nvme verify "$disk" -s 64 -c $last
check "write-zeroes" nvme write-zeroes "$disk" -s 64 -c $last
check "there are zeroes" reads 64 /media/zeroes
check "write-zeroes that deallocates" nvme write-zeroes "$disk" -s 128 -c $last --deac
check "there are zeroes, too" reads 128 /media/zeroes
check "write again" nvme write "$disk" -s 64 -c $last -z 16384 -d /media/theirs
check "write beside" nvme write "$disk" -s $((64 + blocks)) -c $last -z 16384 -d /media/ours
check "dsm" nvme dsm "$disk" -d -s 64,512 -b $blocks,8
check "dsm leaves the neighbour" reads $((64 + blocks)) /media/ours
refuses "read past the end" "LBA_RANGE|LBA Out of Range" nvme read "$disk" -s $(((64 << 20) / block_bytes)) -c 0 \
  -z "$block_bytes" -d /media/read
refuses "write past the end" "LBA_RANGE|LBA Out of Range" nvme write "$disk" -s $(((64 << 20) / block_bytes - 1)) \
  -c 1 -z $((2 * block_bytes)) -d /media/ours
refuses "an unknown opcode" "INVALID_OPCODE|Invalid Command Opcode" nvme io-passthru "$disk" --opcode=0x7e --namespace-id=1
refuses "an unknown admin opcode" "INVALID_OPCODE|Invalid Command Opcode" nvme admin-passthru "$controller" --opcode=0xc9
check "it still reads" reads $((64 + blocks)) /media/ours

# How Linux sees the disk

prints "discards" "^[1-9]" cat "/sys/block/${disk#/dev/}/queue/discard_max_bytes"
check "blkdiscard" blkdiscard -o 1M -l 1M "$disk"
check "zeroes by ioctl" blkdiscard -z -o 2M -l 1M "$disk"
check "ns-rescan" nvme ns-rescan "$controller"
check "reset" nvme reset "$controller"
check "it reads after the reset" reads $((64 + blocks)) /media/ours
check "disconnect" nvme disconnect -n $nqn
check "the server ends" end_server
finish
