"""Makes quic.pcapng, a part of a run's capture with its secrets, and tshark's view of it.

testbed run quic; python tests/captures/make_quic.py runs/quic-…/scenarios/main
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from analysis import packets, tls
from analysis.dissect import quic
from analysis.packets import with_secrets
from analysis.tls import KeyLog, key_log

HERE = Path(__file__).parent
FIELDS = (
    *("frame.number", "quic.packet_number", "quic.frame_type", "quic.stream.stream_id"),
    *("quic.dcid", "quic.scid", "quic.version", "quic.token_length", "http3.frame_type"),
)
WHOLE = 240
"""Packets from the beginning, before the first long download."""
AROUND = 8
"""Further packets before and behind each change and proof of an address."""


def wanted(table: pd.DataFrame) -> set[int]:
    """Frames of the first connections, of the beginnings of others, and around their moves."""
    kept = set(range(1, WHOLE))
    for _, flow in table[table["frame"] >= WHOLE].groupby(["udp_sport", "udp_dport"]):
        kept |= set(flow["frame"].head(2 * AROUND))
    found = quic.read(table)
    for _, own in found.groupby("connection"):
        begin = own["frame"].min()
        changes = own.loc[own["from_client"] & (own["ip_src"] != own["ip_src"].iloc[0]), "frame"]
        challenged = own.loc[own["type"] == "PATH_CHALLENGE", "frame"]
        for at in [*changes.head(1), *challenged]:
            kept |= set(range(at - AROUND, at + AROUND)) | set(range(begin, begin + 2 * AROUND))
    return kept


def main(scenario: Path) -> None:
    """Takes packets of the client's capture and asks tshark."""
    source = scenario / "captures" / "h1-eth0.pcap"
    logs = [key_log.read(path) for path in sorted((scenario / "keys").glob("*.log"))]
    table = packets.read(source, quic.COLUMNS)
    tls.set_keys(table, logs)
    kept = wanted(table)
    data = source.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder, "quic.pcap")
        part.write_bytes(data[:24] + b"".join(_records(data, kept)))
        secrets = KeyLog.merged(logs).text().encode()
        with_secrets.write(part, HERE / "quic.pcapng", secrets, "h1-eth0")
    fields = [word for name in FIELDS for word in ("-e", name)]
    tshark = shutil.which("tshark") or "tshark"
    argv = [tshark, "-r", str(HERE / "quic.pcapng"), "-T", "fields", "-E", "header=y", *fields]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    (HERE / "quic.tsv").write_text(done.stdout)


def _records(data: bytes, kept: set[int]) -> list[bytes]:
    """The records of a pcap file, by their numbers."""
    found, at, number = [], 24, 0
    while at < len(data):
        size = 16 + struct.unpack_from("<I", data, at + 8)[0]
        number += 1
        if number in kept:
            found.append(data[at : at + size])
        at += size
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
