"""What all commands on captures share: reading the file, filters, and what is said about it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click
from rich.markup import escape

from testbed.cli.console import err
from testbed.core.errors import CaptureError, ConfigError

if TYPE_CHECKING:
    import pandas as pd

FILE = click.argument("file", type=click.Path(path_type=Path, allow_dash=True))

_Command = TypeVar("_Command", bound=Callable[..., Any])

_FILTER = click.option(
    "--where",
    metavar="FILTER",
    help="Only packets that pass this display filter, such as 'tcp.port == 80 and not arp'. "
    "Field names are Wireshark's or packet columns.",
)


def _keep_rules(context: click.Context, _: click.Parameter, rules: tuple[str, ...]) -> None:
    context.meta[__name__] = rules


_DECODE_AS = click.option(
    "--decode-as",
    metavar="RULE",
    multiple=True,
    expose_value=False,
    callback=_keep_rules,
    help="Read a port as another protocol: 'udp.port==5300,dns'. Can be repeated.",
)


def _keep_keys(context: click.Context, _: click.Parameter, files: tuple[Path, ...]) -> None:
    context.meta[_KEY_LOGS] = files


_KEY_LOGS = f"{__name__}.keys"

KEYS = click.option(
    "--keys",
    metavar="KEYLOG",
    type=click.Path(path_type=Path),
    multiple=True,
    expose_value=False,
    callback=_keep_keys,
    help="Open TLS with the secrets in this key log (SSLKEYLOGFILE). Can be repeated.",
)
"""Option of commands that read what is inside TLS."""


def _which_and_as_what(command: _Command) -> _Command:
    return _FILTER(_DECODE_AS(KEYS(command)))


WHERE = _which_and_as_what
"""Options that say which packets a command shows, and how it reads them."""

MOST_DISSECTED_BYTES = 256 << 20
"""Application data that a command looks at; beyond it, packets are shown by their headers."""


class CaptureFile:
    """A capture as commands see it.

    Its headers are read once, and once more the payloads of those packets of which a command shows
    the contents; standard input is kept in a temporary file for that.

    Args:
        path: of the capture; ``-``: standard input.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = "standard input" if str(path) == "-" else path.name

    @property
    def source(self) -> Path | IO[bytes]:
        """What readers take."""
        if str(self.path) != "-":
            return self.path
        self._spool.seek(0)
        return self._spool

    @cached_property
    def _spool(self) -> IO[bytes]:
        spool = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the command
        shutil.copyfileobj(sys.stdin.buffer, spool)
        return spool

    def table(self, *, payload: bool = False) -> pd.DataFrame:
        """All packets; of a damaged capture those that could be read, with a warning."""
        from analysis import decode_as, packets

        try:
            table = packets.read(self.source, list(packets.COLUMNS) if payload else None)
        except CaptureError as error:
            if not len(error.packets):
                raise
            err.print(f"[bold]damaged:[/bold] {escape(str(error))}", highlight=False)
            table = error.packets
        meta = click.get_current_context().meta
        decode_as.set_rules(table, meta.get(__name__, ()))
        self._set_keys(table, meta.get(_KEY_LOGS, ()))
        _warn(table)
        return table

    def _set_keys(self, table: pd.DataFrame, given: tuple[Path, ...]) -> None:
        """The keys of the command, and those in the capture itself."""
        from analysis import tls
        from analysis.tls import key_log

        inside = table.attrs.pop("key_logs", [])
        own = {path: key_log.read(path) for path in given}
        logs = list(own.values())
        if inside and not given and not tls.library_is_there():
            err.print(
                "The keys in the capture are not used: `make extra-tls` installs the library."
            )
            inside = []
        for data in inside:
            try:
                logs.append(key_log.parse(data, f"in {self.name}"))
            except ConfigError as error:
                err.print(f"[bold]keys not used:[/bold] {escape(str(error))}", highlight=False)
        tls.set_keys(table, logs)
        for path in key_log.unused(own, self._client_randoms(table)):
            err.print(
                f"[bold]keys not used:[/bold] key log {escape(str(path))}: no connection that "
                f"begins in {escape(self.name)} has its secrets; is it of another run?",
                highlight=False,
            )

    def _client_randoms(self, table: pd.DataFrame) -> Iterator[bytes]:
        """Of the TLS connections that begin in the capture: over TCP first, then in QUIC."""
        from analysis import packets
        from analysis.dissect import quic
        from analysis.tls import hello

        rows = table[table["tcp_payload_bytes"].gt(0).fillna(False) | table["udp_sport"].notna()]
        rows = rows[rows["captured_bytes"].cumsum() <= MOST_DISSECTED_BYTES]
        if "payload" not in rows:
            rows = packets.with_payloads(self.source, rows)
        for octets in rows.loc[rows["tcp_sport"].notna(), "payload"].dropna():
            yield from hello.client_randoms(octets)
        yield from quic.client_randoms(rows[rows["udp_sport"].notna()])

    def filtered(self, where: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """All packets, and those that pass a filter."""
        from analysis import filters

        table = self.table(payload=bool(where and filters.wants_payload(where)))
        return table, select(table, where)

    def said(self, table: pd.DataFrame, shown: pd.DataFrame) -> dict[int, tuple[str, str]]:
        """Application messages of some packets, by frame.

        Args:
            table: the capture.
            shown: some of its packets; the connections that they belong to are read.
        """
        from analysis import messages

        return messages.by_frame(messages.find(self.dissected(table, shown)))

    def dissected(self, table: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
        """The flows of some packets up to the last of these: what dissectors read of them."""
        from analysis import flows, messages, packets

        if shown.empty:
            return shown.assign(payload=None)
        read = [name for name in table if name in messages.READ]
        if len(shown) == len(table):
            wanted = table.loc[table["ip_version"].notna(), read]
        else:
            until = table.loc[table["frame"] <= int(shown["frame"].max()), list(flows.NEEDED)]
            flow = flows.with_flow(until, both_ways=True)["flow"]
            own = flow.index[flow.isin(flow.reindex(shown.index).dropna())]
            wanted = table.loc[own, read]
        if wanted["captured_bytes"].sum() > MOST_DISSECTED_BYTES:
            kept = shown["captured_bytes"].cumsum() <= MOST_DISSECTED_BYTES
            wanted = shown.loc[kept, read]
        if "payload" in wanted:
            return wanted
        return packets.with_payloads(self.source, wanted)


def _warn(table: pd.DataFrame) -> None:
    """Says which packets could not be read."""
    if strange := table.attrs["links_not_decoded"]:
        which = ", ".join("unknown" if link < 0 else str(link) for link in strange)
        err.print(
            f"link type {which} is not decoded (www.tcpdump.org/linktypes.html); "
            "its packets have times and lengths only",
            highlight=False,
        )
    cut = table.attrs["truncated_at"]
    if cut is not None:
        err.print(f"the last packet, at byte {cut}, is cut off", highlight=False)


def select(table: pd.DataFrame, where: str | None) -> pd.DataFrame:
    """The packets that pass a filter.

    Raises:
        ConfigError: the filter is wrong; says what is wrong with it, and where.
    """
    from analysis import filters

    return table[filters.select(table, where)] if where else table


def refuse_itself(file: Path, target: Path | None) -> None:
    """The capture must not be overwritten by its own conversion."""
    if target is not None and file.is_file() and target.is_file() and file.samefile(target):
        raise ConfigError(f"{target}: is the capture itself; choose another file")


def stem(file: Path) -> str:
    """A capture's name without the endings of its format."""
    name = "capture" if str(file) == "-" else file.name
    for suffix in (".gz", ".zst", ".pcap", ".pcapng", ".cap"):
        name = name.removesuffix(suffix)
    return name or "capture"
