"""The two ways a script meets the network stack it tests.

`Wire`: the script is a host of the network, and the tested end is another. `Tun`: both are in one
node, with a tun device between them, as in packetdrill.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
from collections.abc import Iterator

from testbed.peers import segments
from testbed.peers.segments import Packet

_SO_TIMESTAMPNS = 35
_ETH_P_IP, _ETH_P_ALL = 0x0800, 3
_OUTGOING = 4
_LARGEST = 1 << 17
_BUFFER_BYTES = 1 << 24
_SHORT_S = 1e-3

_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TUN, _IFF_NO_PI, _IFF_VNET_HDR = 1, 0x1000, 0x4000
_OFFLOADS = 1 | 2 | 4 | 8  # checksums, TCP segments of IPv4 and IPv6, with ECN
_VNET_HEADER = bytes(10)
DEVICE = "tun0"


class Wire:
    """A host's own interfaces; the caller keeps the host's stack from answering.

    Args:
        address: the peer's IPv4 address.
        ports: those of the peer that the script plays.
    """

    def __init__(self, address: str, ports: set[int]) -> None:
        self.address, self.ports = address, ports
        self._in = _sniffer(_ETH_P_IP)
        self._out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def wait(self, timeout_s: float) -> None:
        """Returns when a packet has come, or after `timeout_s` at the latest."""
        select.select([self._in], [], [], _punctual(timeout_s))

    def packets(self) -> Iterator[Packet]:
        """The packets for the peer that came since the last call."""
        for packet, _ in _received(self._in):
            if packet.target[0] == self.address and (
                packet.protocol == segments.ICMP or packet.target[1] in self.ports
            ):
                yield packet

    def send(self, octets: bytes) -> None:
        """Sends a packet."""
        self._out.sendto(octets, (socket.inet_ntoa(octets[16:20]), 0))


class Tun:
    """A tun device in this node, with packetdrill's addresses.

    Args:
        local: the tested end's address.
        remote: the peer's.
        mtu_bytes: of the device.
    """

    def __init__(self, local: str, remote: str, mtu_bytes: int) -> None:
        self.remote = remote
        self._device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
        fcntl.ioctl(self._device, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), flags))
        fcntl.ioctl(self._device, _TUNSETOFFLOAD, _OFFLOADS)
        lines = [
            f"link set {DEVICE} mtu {mtu_bytes} up",
            f"address add {local}/16 dev {DEVICE}",
            "link set lo up",
            f"route add {remote}/32 dev {DEVICE}",
        ]
        text = "\n".join(lines)
        subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True)
        self._in = _sniffer(_ETH_P_ALL, DEVICE)

    def wait(self, timeout_s: float) -> None:
        """Returns when a packet has come, or after `timeout_s` at the latest."""
        select.select([self._in], [], [], _punctual(timeout_s))

    def packets(self) -> Iterator[Packet]:
        """The packets for the peer that the stack sent since the last call."""
        while _ready(self._device):
            os.read(self._device, _LARGEST)  # so that the device's queue never fills
        for packet, kind in _received(self._in):
            if kind == _OUTGOING and packet.target[0] == self.remote:
                yield packet

    def send(self, octets: bytes) -> None:
        """Gives the stack a packet."""
        os.write(self._device, _VNET_HEADER + octets)


def _ready(descriptor: int) -> bool:
    """True if there is something to read; a read that finds nothing would take virtual time."""
    return bool(select.select([descriptor], [], [], 0)[0])


def _punctual(timeout_s: float) -> float:
    """A little less: the kernel lets a wait take up to a thousandth longer."""
    return timeout_s if timeout_s < _SHORT_S else 0.998 * timeout_s


def _sniffer(protocol: int, device: str = "") -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    if device:
        sock.bind((device, protocol))
    return sock


def _received(sock: socket.socket) -> Iterator[tuple[Packet, int]]:
    """Packets with the kernel's time stamps, and the kind of each (`_OUTGOING`)."""
    while _ready(sock.fileno()):
        octets, control, _, place = sock.recvmsg(_LARGEST, 256)
        stamp = next(d for _, kind, d in control if kind == _SO_TIMESTAMPNS)
        seconds, nanoseconds = struct.unpack("qq", stamp[:16])
        packet = segments.read(octets, seconds * 10**9 + nanoseconds)
        if packet is not None:
            yield packet, place[2]
