# SPDX-License-Identifier: Apache-2.0
"""A small NVMe/TCP host over plain sockets: enough of it to talk to a target and to look at every answer.

    with NvmeHost("127.0.0.1", 4420, nqn, "nqn.2026-11.org.example:host") as host:
        print(host.identify_controller()["serial_number"], host.namespaces())
        host.write(1, 0, b"x" * 4096)
        assert host.read(1, 0, 4096) == b"x" * 4096

One admin queue and one I/O queue, one command at a time, no digests. A command that does not succeed is an
NvmeError with its status.
"""
import socket
import struct
import uuid

DISCOVERY_NQN = "nqn.2014-08.org.nvmexpress.discovery"

_ICREQ, _ICRESP, _C2H_TERM, _COMMAND, _RESPONSE, _H2C_DATA, _C2H_DATA, _R2T = 0, 1, 3, 4, 5, 6, 7, 9
_IN_CAPSULE_BYTES = 4096
_SUCCESS = 8


class NvmeError(Exception):
    """A command ended with `status`: its type and code, as 0x184 for SCT 1, SC 84h."""

    def __init__(self, what, status):
        super().__init__(f"{what}: status {status:#05x}")
        self.status = status


class _Queue:
    """One connection, which is one queue."""

    def __init__(self, address, port, timeout_s):
        self.socket = socket.create_connection((address, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._next_id = 0
        self.socket.sendall(struct.pack("<BBBBI HBBI", _ICREQ, 0, 128, 0, 128, 0, 0, 0, 0) + bytes(112))
        kind, _, body = self._receive()
        assert kind == _ICRESP, f"PDU type {kind} instead of ICResp"
        self.max_host_data = struct.unpack_from("<I", body, 4)[0]

    def close(self):
        self.socket.close()

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the target closed the connection")
            data += piece
        return data

    def _receive(self):
        """(type, flags, what follows the common header)."""
        kind, flags, _, _, length = struct.unpack("<BBBBI", self._exactly(8))
        return kind, flags, self._exactly(length - 8)

    def command(self, what, opcode, nsid=0, words=b"", data=b"", receive=0, fabrics_type=None):
        """Returns (result, received data). `words`: the entry's bytes from 40 on."""
        command_id = self._next_id = (self._next_id + 1) % 30000
        in_capsule = data if len(data) <= _IN_CAPSULE_BYTES else b""
        if in_capsule:
            sgl = struct.pack("<QI3xB", 0, len(data), 0x01)
        else:
            sgl = struct.pack("<QI3xB", 0, len(data) or receive, 0x5A)
        namespace = nsid if fabrics_type is None else fabrics_type
        entry = struct.pack("<BBHI16x", opcode, 0x40, command_id, namespace) + sgl + words.ljust(24, b"\0")
        assert len(entry) == 64
        length = 72 + len(in_capsule)
        self.socket.sendall(struct.pack("<BBBBI", _COMMAND, 0, 72, 72 if in_capsule else 0, length) + entry + in_capsule)
        return self._answer(what, command_id, data, receive)

    def _answer(self, what, command_id, data, receive):
        received = bytearray(receive)
        while True:
            kind, flags, body = self._receive()
            if kind == _R2T:
                got_id, tag, offset, size = struct.unpack_from("<HHII", body)
                assert got_id == command_id
                self._send_data(command_id, tag, offset, data[offset:offset + size])
            elif kind == _C2H_DATA:
                got_id, _, offset, size = struct.unpack_from("<HHII", body)
                assert got_id == command_id
                received[offset:offset + size] = body[16:16 + size]
                if flags & _SUCCESS:
                    return 0, bytes(received)
            elif kind == _RESPONSE:
                result, _, _, got_id, status = struct.unpack_from("<QHHHH", body)
                assert got_id == command_id
                if status >> 1 & 0x7FF:
                    raise NvmeError(what, status >> 1 & 0x7FF)
                return result, bytes(received)
            else:
                raise ConnectionError(f"{what}: PDU type {kind}: {body[:16].hex()}")

    def _send_data(self, command_id, tag, offset, data):
        while data:
            piece, data = data[:self.max_host_data], data[self.max_host_data:]
            head = struct.pack("<BBBBIHHII4x", _H2C_DATA, 0 if data else 4, 24, 24, 24 + len(piece), command_id, tag,
                               offset, len(piece))
            self.socket.sendall(head + piece)
            offset += len(piece)


class NvmeHost:
    """A controller of a subsystem, enabled, with one I/O queue that connects when it is first used."""

    def __init__(self, address, port, subsystem, host_nqn, timeout_s=30):
        self._target = (address, port, timeout_s)
        self._names = (subsystem, host_nqn)
        self._host_id = uuid.uuid4().bytes
        self.controller_id = 0xFFFF
        self._io = None
        self._admin = _Queue(*self._target)
        try:
            self.controller_id = self._connect(self._admin, 0) & 0xFFFF
            # CC: enabled, entries of 64 and 16 bytes. It is ready when CSTS says so.
            self._admin.command("enable", 0x7F, words=struct.pack("<IIQ", 0, 0x14, 0x460001), fabrics_type=0)
            while not self._admin.command("CSTS", 0x7F, words=struct.pack("<II", 0, 0x1C), fabrics_type=4)[0] & 1:
                pass
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for queue in (self._io, self._admin):
            if queue is not None:
                queue.close()

    def _connect(self, queue, queue_id):
        subsystem, host_nqn = (name.encode().ljust(256, b"\0") for name in self._names)
        data = (self._host_id + struct.pack("<H", self.controller_id)).ljust(256, b"\0") + subsystem + host_nqn
        words = struct.pack("<HHHBxI", 0, queue_id, 31, 0, 0)
        return queue.command("connect", 0x7F, words=words, data=data.ljust(1024, b"\0"), fabrics_type=1)[0]

    @property
    def _io_queue(self):
        if self._io is None:
            # Set Features, number of queues: one of each kind.
            self._admin.command("number of queues", 0x09, words=struct.pack("<II", 7, 0))
            self._io = _Queue(*self._target)
            self._connect(self._io, 1)
        return self._io

    def identify(self, cns, nsid=0):
        return self._admin.command("identify", 0x06, nsid, struct.pack("<I", cns), receive=4096)[1]

    def identify_controller(self):
        page = self.identify(1)
        return {"serial_number": page[4:24].decode().rstrip(), "model_number": page[24:64].decode().rstrip(),
                "controller_id": struct.unpack_from("<H", page, 78)[0],
                "nqn": page[768:1024].rstrip(b"\0").decode()}

    def namespaces(self):
        """The identifiers of the namespaces that this host sees."""
        return [nsid for nsid in struct.unpack("<1024I", self.identify(2)) if nsid]

    def namespace(self, nsid):
        """{blocks, block_bytes, uuid}"""
        page = self.identify(0, nsid)
        data_bits = page[128 + 4 * (page[26] & 15) + 2]
        descriptors, found = self.identify(3, nsid), None
        while descriptors and descriptors[0]:
            kind, size = descriptors[0], descriptors[1]
            if kind == 3:
                found = str(uuid.UUID(bytes=bytes(descriptors[4:4 + size])))
            descriptors = descriptors[4 + size:]
        return {"blocks": struct.unpack_from("<Q", page)[0], "block_bytes": 1 << data_bits, "uuid": found}

    def discovery_log(self):
        """[(subsystem, address, port, type)] of a discovery controller; type 2: NVM, 1: discovery, 3: current one."""
        words = struct.pack("<II", (16384 // 4 - 1) << 16 | 0x70, 0)
        page = self._admin.command("discovery log", 0x02, words=words, receive=16384)[1]
        entries = []
        for i in range(struct.unpack_from("<Q", page, 8)[0]):
            entry = page[1024 * (i + 1):1024 * (i + 2)]

            def text(begin, end, entry=entry):
                return entry[begin:end].rstrip(b"\0 ").decode()
            entries.append((text(256, 512), text(512, 768), int(text(32, 64)), entry[2]))
        return entries

    def read(self, nsid, lba, size, block_bytes=4096):
        words = struct.pack("<QI", lba, size // block_bytes - 1)
        return self._io_queue.command("read", 0x02, nsid, words, receive=size)[1]

    def write(self, nsid, lba, data, block_bytes=4096):
        words = struct.pack("<QI", lba, len(data) // block_bytes - 1)
        self._io_queue.command("write", 0x01, nsid, words, data)

    def flush(self, nsid):
        self._io_queue.command("flush", 0x00, nsid)
