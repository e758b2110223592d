"""Speed of the packet reader compared with dpkt, tshark and scapy, on the same files, in one run.

    python bench/reader.py [--packets 1000000] [--snap 96 --snap 0] [--capture FILE] [--gib 10]

Makes captures of TCP flows with timestamps and some SACKs, one cut to the headers and one of whole
packets, reads each with each tool for the same fields (through TCP's options), and prints packets a
second and ratios; our reader with its compiled part and without. CPU time is counted, so that other
load on the machine disturbs less; slower tools read the file's first packets only. Also: how far
the memory's bandwidth would let any reader go, the TCP analysis, and the memory that a large
capture's conversion to Parquet takes.
"""

from __future__ import annotations

import io
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
from cases.tcp_capture import first_packets, make
from rich.console import Console
from rich.table import Table

from analysis import compiled, packets, tcp
from analysis.packets.feed import PIECE_BYTES

FIELDS = (
    "frame.number",
    "frame.time_epoch",
    "frame.len",
    "frame.cap_len",
    "eth.dst",
    "eth.src",
    "eth.type",
    "ip.src",
    "ip.dst",
    "ip.proto",
    "ip.len",
    "ip.hdr_len",
    "ip.ttl",
    "ip.dsfield.dscp",
    "ip.dsfield.ecn",
    "ip.id",
    "ip.flags.df",
    "ip.flags.mf",
    "ip.frag_offset",
    "ip.checksum.status",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.window_size_value",
    "tcp.urgent_pointer",
    "tcp.hdr_len",
    "tcp.len",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.options.sack_perm",
    "tcp.options.timestamp.tsval",
    "tcp.options.timestamp.tsecr",
    "tcp.options.sack_le",
    "tcp.options.sack_re",
)
"""tshark's names of the core columns."""

CORE = [
    name
    for name, column in packets.COLUMNS.items()
    if column.layer in {"frame", "Ethernet", "IP", "TCP"}
]


@dataclass
class Result:
    """One tool's reading: packets read and CPU seconds."""

    tool: str
    count: int
    cpu_s: float

    @property
    def rate(self) -> float:
        return self.count / self.cpu_s


@contextmanager
def cpu_time(children: bool = False) -> Iterator[Callable[[], float]]:
    """Gives a function that says the CPU seconds spent since."""
    who = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF

    def used() -> float:
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime

    before = used()
    yield lambda: used() - before


def ours(path: Path, repeat: int = 7) -> Result:
    """This project's reader: the best of some runs."""
    best, count = float("inf"), 0
    for _ in range(repeat):
        with cpu_time() as used:
            count = len(packets.read(path, CORE))
            best = min(best, used())
    part = "compiled" if compiled.library() else "NumPy alone"
    return Result(f"analysis.packets, {part}", count, best)


def without_compiled_code(path: Path) -> Result:
    """The same where there is no C compiler."""
    with patch.object(compiled, "library", return_value=None):
        return ours(path, 3)


def with_dpkt(path: Path) -> Result:
    """dpkt with the same fields and parsed options, into lists."""
    import dpkt

    rows = []
    with cpu_time() as used, path.open("rb") as file:
        for stamp, octets in dpkt.pcap.Reader(file):
            ether = dpkt.ethernet.Ethernet(octets)
            ip = ether.data
            if not isinstance(ip, dpkt.ip.IP):
                continue
            segment = ip.data
            options = dpkt.tcp.parse_opts(segment.opts)
            rows.append(
                (
                    stamp,
                    ether.src,
                    ether.dst,
                    ether.type,
                    ip.src,
                    ip.dst,
                    ip.p,
                    ip.len,
                    ip.hl,
                    ip.ttl,
                    ip.tos,
                    ip.id,
                    ip.df,
                    ip.mf,
                    ip.offset,
                    ip.sum,
                    segment.sport,
                    segment.dport,
                    segment.seq,
                    segment.ack,
                    segment.flags,
                    segment.win,
                    segment.urp,
                    segment.off,
                    options,
                )
            )
        return Result("dpkt", len(rows), used())


def with_tshark(path: Path) -> Result:
    """tshark -T fields."""
    words = [word for field in FIELDS for word in ("-e", field)]
    argv = ["tshark", "-n", "-r", str(path), "-o", "ip.check_checksum:TRUE", "-T", "fields", *words]
    with cpu_time(children=True) as used:
        done = subprocess.run(argv, check=True, capture_output=True)
        return Result("tshark -T fields", done.stdout.count(b"\n"), used())


def with_scapy(path: Path) -> Result:
    """Scapy's reader, the same fields, into lists."""
    from scapy.layers.inet import IP, TCP
    from scapy.utils import PcapReader

    rows = []
    with cpu_time() as used, PcapReader(str(path)) as reader:
        for packet in reader:
            ip, segment = packet[IP], packet[TCP]
            rows.append(
                (
                    packet.time,
                    packet.src,
                    packet.dst,
                    packet.type,
                    ip.src,
                    ip.dst,
                    ip.proto,
                    ip.len,
                    ip.ihl,
                    ip.ttl,
                    ip.tos,
                    ip.id,
                    ip.flags,
                    ip.frag,
                    ip.chksum,
                    segment.sport,
                    segment.dport,
                    segment.seq,
                    segment.ack,
                    segment.flags,
                    segment.window,
                    segment.urgptr,
                    segment.dataofs,
                    segment.options,
                )
            )
        return Result("scapy", len(rows), used())


def memory_limit(path: Path, frame_bytes: int) -> tuple[float, float]:
    """Seconds that memory alone would cost.

    Returns:
        seconds to copy the file's bytes once out of the page cache; seconds to write as many bytes
        as the DataFrame has into new memory.
    """
    best_read, best_write = float("inf"), float("inf")
    buffer = bytearray(PIECE_BYTES)
    for _ in range(3):
        with path.open("rb", buffering=0) as file, cpu_time() as used:
            while file.readinto(buffer):
                pass
            best_read = min(best_read, used())
        with cpu_time() as used:
            np.zeros(frame_bytes, np.uint8)[:] = 1
            best_write = min(best_write, used())
    return best_read, best_write


class Repeated(io.RawIOBase):
    """A capture as a stream, its packets again and again up to a size: needs no disk."""

    def __init__(self, path: Path, size: int) -> None:
        octets = path.read_bytes()
        self.head, self.body, self.left = octets[:24], memoryview(octets)[24:], size
        self.at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.head:
            buffer[:24], self.head = self.head, b""
            return 24
        count = min(len(buffer), len(self.body) - self.at, self.left)
        buffer[:count] = self.body[self.at : self.at + count]
        self.at = (self.at + count) % len(self.body)
        self.left -= count
        return count


def convert(path: Path, gib: float, target: Path) -> str:
    """Converts a large capture in a process of its own; says what that took."""
    argv = [
        sys.executable,
        __file__,
        "--convert",
        str(target),
        "--gib",
        f"{gib:g}",
        "--capture",
        str(path),
    ]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def converted(path: Path, gib: float, target: Path) -> str:
    """The conversion itself; the memory of the repeated capture's bytes is not the reader's."""
    stream = Repeated(path, int(gib * 2**30))
    own_mib = len(stream.body) / 2**20
    with cpu_time() as used:
        count = packets.to_parquet(io.BufferedReader(stream, 1 << 20), target)
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return (
            f"{gib:g} GiB to Parquet: {count} packets, {used():.0f} CPU s, {peak_mib:.0f} MiB of "
            f"memory at most, {own_mib:.0f} of them the capture that is repeated; "
            f"{target.stat().st_size / 2**20:.0f} MiB written"
        )


def analysis_time(path: Path) -> float:
    """CPU seconds of the TCP analysis, the best of three."""
    capture = packets.read(path, tcp.NEEDED)
    best = float("inf")
    for _ in range(3):
        with cpu_time() as used:
            tcp.analyse(capture)
            best = min(best, used())
    return best


def compare(console: Console, path: Path, folder: Path) -> None:
    """Prints the table of one capture."""
    size_mb = path.stat().st_size / 1e6
    result = ours(path)
    others = [without_compiled_code(path)] if compiled.library() else []
    others.append(with_dpkt(first_packets(path, 100_000, folder / "dpkt.pcap")))
    if shutil.which("tshark"):
        others.append(with_tshark(first_packets(path, 50_000, folder / "tshark.pcap")))
    others.append(with_scapy(first_packets(path, 10_000, folder / "scapy.pcap")))
    table = Table(title=f"{result.count} packets, {size_mb:.0f} MB; {len(CORE)} columns")
    for name in ("tool", "packets", "CPU s", "packets/s", "ours is faster by"):
        table.add_column(name, justify="left" if name == "tool" else "right")
    for one in [result, *others]:
        faster = f"{result.rate / one.rate:.0f}x"
        table.add_row(one.tool, f"{one.count}", f"{one.cpu_s:.3f}", f"{one.rate:,.0f}", faster)
    console.print(table)
    frame_bytes = int(packets.read(path, CORE).memory_usage(deep=False).sum())
    read_s, write_s = memory_limit(path, frame_bytes)
    limit = result.count / (read_s + write_s)
    console.print(
        f"memory alone: {read_s * 1e3:.0f} ms to copy {size_mb:.0f} MB out of the page cache + "
        f"{write_s * 1e3:.0f} ms to write {frame_bytes / 1e6:.0f} MB of columns = "
        f"{limit / 1e6:.1f} M packets/s; we take {limit / result.rate:.1f} times as long"
    )
    console.print(f"TCP analysis of {result.count} packets: {analysis_time(path):.2f} CPU s")


@click.command()
@click.option("--packets", "count", default=1_000_000, help="Packets of the captures made.")
@click.option(
    "--snap",
    "snaps",
    default=(96, 0),
    multiple=True,
    help="Cut packets to this many bytes (0: whole packets); one capture each.",
)
@click.option("--capture", type=click.Path(exists=True, path_type=Path), help="Use this instead.")
@click.option("--gib", default=1.0, help="Size of the capture converted to Parquet (0: none).")
@click.option("--convert", "target", hidden=True, type=click.Path(path_type=Path))
def main(
    count: int, snaps: tuple[int, ...], capture: Path | None, gib: float, target: Path | None
) -> None:
    """Prints the tables."""
    if target and capture:
        click.echo(converted(capture, gib, target))
        return
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [capture] if capture else [folder / f"snap{snap}.pcap" for snap in snaps]
        for path, snap in zip(paths, snaps, strict=False):
            if capture is None:
                make(path, count, snap)
            compare(console, path, folder)
        if gib:
            console.print(convert(paths[-1], gib, folder / "large.parquet"))


if __name__ == "__main__":
    main()
