"""The packet reader held against tshark, value by value, on every capture in a folder.

    python bench/agreement.py FOLDER [--only NAME] [--examples 3]

Each field that display filters know (`analysis.filters.names`) is compared in every packet: header
fields, the TCP analysis, and what the dissectors read. Of a field that occurs more than once in a
packet the first one counts; packets inside packets are compared as far as we read them, and values
in layers that we do not read (wireless, PPP, QUIC …) are counted by layer. Prints
files, packets, values and crashes, the slowest and the largest file, and the differences by field
with examples. docs/tcp-analysis.md and docs/limits.md say which differences are known.
"""

from __future__ import annotations

import io
import subprocess
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.table import Table

from analysis import packets, tcp
from analysis.dissect import bgp, dhcp, dns, http2_frames, ospf, rip
from analysis.filters import names
from testbed.core.errors import CaptureError

SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".cap.gz")
OPTIONS = ("ip.check_checksum:TRUE", "tcp.reassemble_out_of_order:TRUE", "ip.defragment:FALSE")
OPTIONS += ("ipv6.defragment:FALSE",)
_READ = frozenset(
    "eth ethertype llc vlan sll null loop raw mpls arp ip ipv6 ipv6.hopopts ipv6.dstopts "
    "ipv6.routing ipv6.fraghdr tcp udp icmp icmpv6 igmp dns mdns dhcp rip ripng http tls "
    "openflow openflow_v4 ospf data media text-lines x509sat x509ce pkcs1 x509af _ws.short".split()
)
"""Layers that we read, or that follow what we read; what lies in others is counted apart."""

_SKIPPED = {"http.request", "http.response", "tcp.analysis.timeout_retransmission", "eth.type"}
_SKIPPED |= {"frame.interface_name", "ipv6.nxt"}
_SKIPPED |= {"tcp.seq", "tcp.ack"}  # without a SYN tshark counts from 1; the raw ones are compared
_NUMBERS = {
    name: {text: number for number, text in texts.items()}
    for name, texts in (
        ("dns.qry.type", dns.TYPES),
        ("dns.flags.rcode", dns.RCODES),
        ("dhcp.option.dhcp", dhcp.TYPES),
        ("rip.command", rip.COMMANDS),
        ("ripng.cmd", rip.COMMANDS),
        ("ospf.msg", ospf.TYPES),
        ("http2.type", http2_frames.TYPES),
        ("bgp.type", bgp.TYPES),
    )
}
"""Fields that our tables name and tshark numbers."""

_UNSET = {"dhcp.ip.your": "0.0.0.0", "dhcp.ip.client": "0.0.0.0"}
"""Values that mean 'none', which our tables leave out."""

_IN_WORDS = {"dns.qry.name": ("<Root>", ".")}
_YES = {"True", "1", ""}
_TSHARK_S = 300


@dataclass
class Found:
    """What the comparison has found so far."""

    files: int = 0
    agreeing: int = 0
    skipped: int = 0
    packets: int = 0
    values: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    differing_files: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    examples: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    not_read: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    times_s: dict[str, float] = field(default_factory=dict)
    sizes_bytes: dict[str, int] = field(default_factory=dict)


def fields() -> list[str]:
    """Names that stand for one value in a packet, in our tables as in tshark's."""
    single = [name for name, columns in names.FIELDS.items() if len(columns) == 1]
    return [
        name
        for name in [*single, *names.FLAG_BITS, *names.ANALYSED, *names.DISSECTED]
        if name not in _SKIPPED
    ]


def known_to_tshark(wanted: list[str]) -> list[str]:
    """Those of the names that this tshark has."""
    listed = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, check=True)
    known = {line.split("\t")[2] for line in listed.stdout.splitlines() if line.startswith("F\t")}
    return [name for name in wanted if name in known]


def theirs(path: Path, wanted: list[str]) -> pd.DataFrame:
    """tshark's values as text, one row per packet."""
    argv = ["tshark", "-n", "-r", str(path), "-T", "fields", "-E", "header=y", "-E", "occurrence=f"]
    argv += [word for option in OPTIONS for word in ("-o", option)]
    argv += [word for name in ["frame.protocols", *wanted] for word in ("-e", name)]
    done = subprocess.run(argv, capture_output=True, timeout=_TSHARK_S, check=False)
    text = done.stdout.decode("utf-8", "replace") or "frame.protocols\n"
    return pd.read_csv(io.StringIO(text), sep="\t", dtype=str, quoting=3, keep_default_na=False)


def ours(path: Path) -> pd.DataFrame:
    """Our packets, as far as the file can be read."""
    try:
        return packets.read(path, list(packets.COLUMNS))
    except CaptureError as error:
        return error.packets


def compare(path: Path, wanted: list[str], found: Found, most_examples: int) -> None:
    """Adds one file's values to what was found."""
    other = theirs(path, wanted)
    if other.empty:
        found.skipped += 1
        return
    begun = time.process_time()
    table = ours(path).head(len(other))
    other = other.head(len(table))
    nested = _nested(other["frame.protocols"])
    foreign = [_foreign(stack) for stack in other["frame.protocols"]]
    before = found.differences.total()
    for name, values in columns(table, wanted):
        before_, after = _IN_WORDS.get(name, ("", ""))
        theirs_ = [_plain(after if before_ and one == before_ else one) for one in other[name]]
        for frame, (mine, their, inner) in enumerate(zip(values, theirs_, nested, strict=True), 1):
            if mine is None and (their is None or inner):
                continue
            # tshark shows the one in responses alone, the other not of cooked captures
            if name in {"dns.flags.rcode", "eth.src"} and their is None:
                continue
            if mine is None and (str(their) == _UNSET.get(name) or foreign[frame - 1]):
                found.not_read[foreign[frame - 1] or f"{name} of 0.0.0.0"] += 1
                continue
            found.values += 1
            if not _same(mine, their):
                found.differences[name] += 1
                found.differing_files[name].add(path.name)
                if len(found.examples[name]) < most_examples:
                    found.examples[name].append(f"{path.name} {frame}: {mine!r} / {their!r}")
    found.files += 1
    found.packets += len(table)
    found.agreeing += found.differences.total() == before
    found.times_s[path.name] = time.process_time() - begun
    found.sizes_bytes[path.name] = path.stat().st_size


def columns(table: pd.DataFrame, wanted: list[str]) -> Iterator[tuple[str, list[object]]]:
    """Each field's values; None where a packet has none."""
    segments = tcp.analyse(table).reindex(table.index)
    messages = {
        protocol: _whole(read(table))
        for protocol, read in names.DISSECTORS.items()
        if protocol in {names.DISSECTED[name][0] for name in wanted if name in names.DISSECTED}
    }
    for name in wanted:
        if name in names.ANALYSED:
            column = segments[names.ANALYSED[name]]
        elif name in names.DISSECTED:
            protocol, of_message = names.DISSECTED[name]
            column = messages[protocol][of_message].reindex(table["frame"])
        elif name in names.FLAG_BITS:
            column = (table["tcp_flags"] & names.FLAG_BITS[name]) != 0
        else:
            column = table[names.FIELDS[name][0]]
            version = names.version_of(name)
            if version:
                column = column.where((table["ip_version"] == version).fillna(False))
        values = column.astype(object).where(column.notna(), None).tolist()
        if name in names.ANALYSED and column.dtype in (bool, object, "boolean"):
            values = [value or None for value in values]  # tshark names what is true
        yield name, [_as_tshark(name, value) for value in values]


def _as_tshark(name: str, value: Any) -> object:
    """Our value in tshark's terms: numbers for names, fragment offsets in units of 8 bytes."""
    if value is None or value == "":
        return None
    if name == "ip.frag_offset":
        return value // 8
    if name in _NUMBERS:
        return _NUMBERS[name].get(value, _plain(str(value).removeprefix("TYPE")))
    return value


def _whole(messages: pd.DataFrame) -> pd.DataFrame:
    """The first message of each frame; tshark shows no message that is not whole."""
    good = ~messages["malformed"].astype(bool)
    if "cut" in messages:  # HTTP/3's frames that are not there whole are not listed
        good &= ~messages["cut"].astype(bool)
    if "complete" in messages:
        good &= messages["complete"].astype(bool)
    return messages[good].drop_duplicates("frame").set_index("frame")


def _nested(protocols: pd.Series[str]) -> list[bool]:
    """Packets that carry another packet, whose fields tshark shows, too."""
    layers = protocols.str.split(":")
    return [sum(one in {"ip", "ipv6", "eth"} for one in stack) > 2 for stack in layers]


def _foreign(protocols: str) -> str:
    """The first layer of a packet that we do not read; empty if there is none."""
    return next((layer for layer in protocols.split(":") if layer not in _READ), "")


def _plain(text: str) -> object:
    """A field's text as number or text; None if there is none."""
    if not text:
        return None
    for read in (lambda one: int(one, 0), float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


def _same(mine: object, their: object) -> bool:
    if isinstance(mine, bool):
        return mine == (str(their) in _YES and their is not None)
    if isinstance(mine, int | float) and isinstance(their, int | float):
        return abs(mine - their) < 1e-6 * max(1.0, abs(mine))
    return str(mine) == str(their)


def report(console: Console, found: Found) -> None:
    """Prints the figures."""
    console.print(
        f"{found.files} files ({found.skipped} that tshark does not read), {found.packets:,} "
        f"packets, {found.values:,} values; {found.agreeing} files agree wholly, "
        f"{found.differences.total():,} values differ, {len(found.crashes)} crashes"
    )
    if found.times_s:
        slowest = max(found.times_s, key=lambda name: found.times_s[name])
        largest = max(found.sizes_bytes, key=lambda name: found.sizes_bytes[name])
        console.print(f"slowest: {slowest}, {found.times_s[slowest]:.1f} CPU s with its comparison")
        console.print(f"largest: {largest}, {found.sizes_bytes[largest]:,} bytes")
    if not console.is_terminal:
        console.width = 400  # nothing is cut in a file
    table = Table("field", "values", "files", "examples (ours / tshark's)", box=None)
    for column in table.columns:
        column.no_wrap = True
    for name, count in found.differences.most_common():
        examples = "\n".join(found.examples[name])
        table.add_row(name, f"{count}", f"{len(found.differing_files[name])}", examples)
    console.print(table)
    layers = ", ".join(f"{name} {count}" for name, count in found.not_read.most_common(20))
    console.print(f"values of layers that are not read, or left out: {layers or 'none'}")
    for crash in found.crashes:
        console.print(crash, markup=False)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", default="", help="Only files whose names contain this.")
@click.option("--examples", default=2, help="Examples shown per field.")
def main(folder: Path, only: str, examples: int) -> None:
    """Compares all captures below FOLDER."""
    console, found = Console(soft_wrap=True, markup=False), Found()
    wanted = known_to_tshark(fields())
    for path in sorted(folder.rglob("*")):
        if not path.name.endswith(SUFFIXES) or only not in path.name:
            continue
        try:
            compare(path, wanted, found, examples)
        except subprocess.TimeoutExpired:
            found.skipped += 1
        except Exception:  # noqa: BLE001 - whatever it is, it is what we look for
            found.crashes.append(f"{path.name}: {traceback.format_exc(limit=-3)}")
    report(console, found)


if __name__ == "__main__":
    main()
