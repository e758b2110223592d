"""Captures with the secrets that open them: pcapng with a Decryption Secrets Block.

Wireshark shows such a file's TLS connections in plain text (draft-ietf-opsawg-pcapng §4.7).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from analysis.packets import pcap, pcapng
from testbed.core.errors import CaptureError
from testbed.core.files import writing

_SECTION_MAGIC, _UNKNOWN_LENGTH = 0x1A2B3C4D, -1
_IF_NAME, _IF_TSRESOL, _NANOSECONDS = 2, 9, b"\x09"


def write(source: Path, target: Path, secrets: bytes, interface: str = "") -> None:
    """Writes a pcap capture's packets as pcapng, behind a TLS key log.

    Args:
        source: the capture, as tcpdump writes it.
        target: the file to write.
        secrets: the key log.
        interface: name of the interface where it was captured.

    Raises:
        CaptureError: the source is no pcap file.
        OutputError: the target cannot be written.
    """
    data = source.read_bytes()
    if not pcap.is_pcap(data) or len(data) < pcap.HEADER_BYTES:
        raise CaptureError(str(source), 0, "not pcap", ())
    about = pcap.Pcap.from_header(data[: pcap.HEADER_BYTES])
    with writing(target) as file:
        section = struct.pack("<IHHq", _SECTION_MAGIC, 1, 0, _UNKNOWN_LENGTH)
        file.write(_block(pcapng.SECTION, section))
        head = struct.pack("<II", pcapng.TLS_KEY_LOG, len(secrets))
        file.write(_block(pcapng.SECRETS, head + secrets))
        options = _option(_IF_NAME, interface.encode()) if interface else b""
        options += _option(_IF_TSRESOL, _NANOSECONDS) + bytes(4)
        link = struct.pack("<HHI", about.link_type, 0, about.snap_bytes)
        file.write(_block(pcapng.INTERFACE, link + options))
        for time_ns, wire_bytes, captured in _packets(data, about):
            high, low = divmod(time_ns, 1 << 32)
            fields = struct.pack("<IIIII", 0, high, low, len(captured), wire_bytes)
            file.write(_block(pcapng.ENHANCED, fields + captured))


def _block(kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    length = struct.pack("<I", len(padded) + 12)
    return struct.pack("<I", kind) + length + padded + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def _packets(data: bytes, about: pcap.Pcap) -> Iterator[tuple[int, int, bytes]]:
    """Time, length on the wire and bytes of each packet; not of a last one that is cut off."""
    here, header = pcap.HEADER_BYTES, struct.Struct(about.endian + "IIII")
    while here + header.size <= len(data):
        seconds, ticks, captured, wire_bytes = header.unpack_from(data, here)
        here += header.size
        if here + captured > len(data):
            return
        time_ns = seconds * 1_000_000_000 + ticks * about.tick_ns
        yield time_ns, wire_bytes, data[here : here + captured]
        here += captured
