"""Captures of many TCP flows, made to be read."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from analysis import packets


def checksum(header: bytes) -> int:
    """The IPv4 header's checksum."""
    total: int = sum(struct.unpack(">10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def frame(flow: int, back: bool, seq: int, number: int, sack: bool, tick: int) -> bytes:
    """Headers of a data segment of 1448 bytes, or of an ACK back."""
    options = b"\1\1\x08\x0a" + struct.pack(">II", tick & 0xFFFFFFFF, 5)
    if sack:
        options += b"\1\1\5\x0a" + struct.pack(">II", seq + 1448, seq + 2896)
    ends = bytes([10, 0, 0, flow + 1]), bytes([10, 0, 1, flow + 1])
    ports = 40_000 + flow, 5201
    source, target = (1, 0) if back else (0, 1)
    total = 40 + len(options) + (0 if back else 1448)
    ip = struct.pack(
        ">BBHHHBBH4s4s",
        0x45,
        0,
        total,
        number & 0xFFFF,
        0x4000,
        64,
        6,
        0,
        ends[source],
        ends[target],
    )
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    numbers = (1, seq) if back else (seq, 1)
    segment = struct.pack(
        ">HHIIBBHHH",
        ports[source],
        ports[target],
        *numbers,
        (20 + len(options)) << 2,
        16,
        501,
        0,
        0,
    )
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + segment + options


def make(path: Path, count: int, snap: int) -> None:
    """Writes a capture of 16 flows, 60 % data and 40 % ACKs, one ACK in 20 with a SACK block."""
    rng = random.Random(1)
    seq = [rng.randrange(1 << 31) for _ in range(16)]
    payload, time_us = bytes(1448), 1_700_000_000_000_000
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snap or 262144, 1))
        for number in range(count):
            flow, back = rng.randrange(16), rng.random() >= 0.6
            time_us += rng.randrange(3, 40)
            sack = back and rng.random() < 0.05
            octets = frame(flow, back, seq[flow], number, sack, time_us // 1000)
            if not back:
                octets += payload
                seq[flow] = (seq[flow] + 1448) % (1 << 31)
            kept = octets[: snap or None]
            head = (time_us // 10**6, time_us % 10**6, len(kept), len(octets))
            file.write(struct.pack("<IIII", *head) + kept)


def first_packets(path: Path, count: int, target: Path) -> Path:
    """The file's first packets, for a tool that is too slow for all."""
    records = packets.read(path, ["captured_bytes"], max_packets=10**9).captured_bytes
    size = 24 + int(records[:count].sum()) + 16 * min(count, len(records))
    with path.open("rb") as file:
        target.write_bytes(file.read(size))
    return target
