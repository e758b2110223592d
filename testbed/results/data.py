"""What `measure` reads: one scenario's raw artefacts as DataFrames. Needs no root, no network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.claims import MissingDataError, first
from testbed.core.errors import ConfigError, ParseError
from testbed.core.ordering import natural
from testbed.core.quantities import number
from testbed.core.rundir import KEYS, SCENARIO, key_logs, read_json
from testbed.results import gate

if TYPE_CHECKING:
    import pandas as pd

    from analysis.tls import KeyLog
    from testbed.author.topo import LinkShape

_PCAP_HEADER_BYTES = 24


class ScenarioData:
    """The artefacts of one scenario.

    Attributes:
        name: the scenario's name.
        path: its folder.
        params: the parameters it ran with.
    """

    def __init__(self, name: str, path: Path, params: Any) -> None:
        self.name, self.path, self.params = name, path, params

    @cached_property
    def clock(self) -> dict[str, int]:
        """``realtime_ns`` and ``monotonic_ns`` of the moment the experiment's `run` began."""
        found = [e for e in self._event_rows if e["event"] == "start"]
        if not found:
            raise MissingDataError("the experiment's run never began")
        return {"realtime_ns": found[0]["time_ns"], "monotonic_ns": found[0]["monotonic_ns"]}

    @property
    def clock_kind(self) -> str:
        """The clock of the run: ``virtual`` or ``real``."""
        return str(read_json(self.path / SCENARIO)["clock"])

    @property
    def t0_ns(self) -> int:
        """Time zero of all ``time_s`` columns: when `run` began, in ns since 1970."""
        return self.clock["realtime_ns"]

    @cached_property
    def network(self) -> dict[str, Any]:
        """Addresses, queue disciplines and sysctls of the running network."""
        return dict(read_json(self.path / "network.json"))

    @cached_property
    def topology(self) -> dict[str, Any]:
        """The topology as data: nodes, links, shapes."""
        return dict(read_json(self.path / "topology.json"))

    def address(self, node: str) -> str:
        """The node's first IPv4 address, without prefix length."""
        for row in self.network["addresses"]:
            if row["node"] == node and row["ipv4"]:
                return str(row["ipv4"]).split("/")[0]
        raise MissingDataError(f"{node} has no IPv4 address")

    def shape(self, interface: str) -> LinkShape:
        """What the link did to packets that left by an interface, when the run began.

        Raises:
            MissingDataError: the network has no such interface.
        """
        from testbed.author.topo import LinkShape

        for link in self.topology["links"]:
            for end in (1, 2):
                if link[f"interface{end}"] == interface:
                    return LinkShape(**link[f"shape{end}"])
        raise MissingDataError(f"no interface '{interface}' in this network")

    def captures(self) -> list[str]:
        """Names of the captures, r2 before r10: the interfaces where they were taken.

        A capture that was taken and whose file is gone is named, too, so that no claim is judged
        without it: `packets` refuses it.
        """
        folder = self.path / "captures"
        taken = self.capture_drops if (folder / "captures.json").is_file() else {}
        return sorted({path.stem for path in folder.glob("*.pcap")} | set(taken), key=natural)

    def packets(self, capture: str, columns: Iterable[str] | None = None) -> pd.DataFrame:
        """A capture, one row per packet, with ``time_s`` since the run's start in front.

        Dissectors read what is inside TLS where a program wrote its secrets down
        (`certificates.key_log`); `analysis.tls.set_keys` with other logs, or none, changes that.

        Raises:
            MissingDataError: no such capture, or the kernel dropped packets of it; or a key log is
                damaged, or of another run.
        """
        from analysis import packets, tls

        path = self.path / "captures" / f"{capture}.pcap"
        if not path.is_file():
            if capture in self.captures():
                raise MissingDataError(f"capture '{capture}' was taken, but its file is missing")
            raise MissingDataError(f"no capture '{capture}'; known: {self.captures()}")
        lost = self.capture_drops.get(capture, 0)
        if lost < 0:
            raise MissingDataError(f"capture '{capture}': tcpdump did not finish")
        if lost:
            raise MissingDataError(
                f"capture '{capture}' lacks {number(lost, 'packets')} that the kernel dropped"
            )
        wanted = None if columns is None else list(dict.fromkeys(["time_ns", *columns]))
        frame = packets.read(path, columns=wanted)
        frame.attrs = {}  # pandas copies them at every step
        tls.set_keys(frame, self._keys)
        frame.insert(0, "time_s", (frame["time_ns"] - self.t0_ns) / 1e9)
        return frame

    @cached_property
    def _keys(self) -> list[KeyLog]:
        from analysis.tls import key_log

        try:
            logs = {path: key_log.read(path) for path in key_logs(self.path)}
        except ConfigError as error:
            raise MissingDataError(f"keys of TLS: {error}") from error
        unused = key_log.unused(logs, self._client_randoms())
        if unused and any(  # else some connections were not captured, which is no fault
            not any(log.knows(random) for log in logs.values()) for random in self._client_randoms()
        ):
            raise MissingDataError(
                f"keys of TLS: {KEYS}/{unused[0].name}: no connection in the captures has its "
                "secrets; is it of another run?"
            )
        return list(logs.values())

    def _client_randoms(self) -> Iterator[bytes]:
        """Of all TLS connections that begin in the captures: over TCP first, then in QUIC."""
        from analysis import packets
        from analysis.dissect import quic
        from analysis.tls import hello

        paths = sorted((self.path / "captures").glob("*.pcap"))
        for path in paths:
            yield from hello.client_randoms(path.read_bytes())
        for path in paths:
            yield from quic.client_randoms(packets.read(path, quic.COLUMNS))

    @property
    def heard_nothing(self) -> bool:
        """True if captures were taken, and none has a packet: then nothing can be concluded."""
        paths = [self.path / "captures" / f"{name}.pcap" for name in self.captures()]
        sizes = [path.stat().st_size for path in paths if path.is_file()]
        return bool(sizes) and max(sizes) <= _PCAP_HEADER_BYTES

    def frame(self, capture: str, number: int) -> bytes:
        """The bytes of one packet of a capture, by its number."""
        from analysis.dissect import ipv4

        path = self.path / "captures" / f"{capture}.pcap"
        found = ipv4.frames(path, [int(number)]) if path.is_file() else {}
        if not found:
            raise MissingDataError(f"capture '{capture}' has no packet {number}")
        return found[int(number)]

    @cached_property
    def capture_drops(self) -> dict[str, int]:
        """Packets that each capture lost."""
        path = self.path / "captures" / "captures.json"
        if not path.is_file():
            raise MissingDataError("the captures were not closed; the run is incomplete")
        return {name: int(stats["dropped"]) for name, stats in read_json(path).items()}

    def events(self, event: str | None = None) -> pd.DataFrame:
        """The run's own events (`net.event`), with ``time_s``, ``event`` and their data."""
        import pandas as pd

        rows = [
            {"time_s": (row["time_ns"] - self.t0_ns) / 1e9, **row}
            for row in self._event_rows
            if event is None or row["event"] == event
        ]
        return pd.DataFrame(rows, columns=None if rows else ["time_s", "time_ns", "event"])

    def happened(self, event: str) -> pd.DataFrame:
        """As `events`, at least one.

        Raises:
            MissingDataError: there was none.
        """
        found = self.events(event)
        first(found, f"event '{event}'")
        return found

    def moment(self, event: str) -> float:
        """When an event of the run first happened, in seconds.

        Raises:
            MissingDataError: it did not.
        """
        return float(first(self.events(event), f"event '{event}'")["time_s"])

    @cached_property
    def _event_rows(self) -> list[dict[str, Any]]:
        path = self.path / "events.jsonl"
        if not path.is_file():
            raise MissingDataError("no events; the run is incomplete")
        return _json_lines(path, "event")

    def notices(self, kind: str) -> pd.DataFrame:
        """What `net.watch` recorded: ``routes``, ``neighbours`` or ``links``, with ``time_s``.

        Raises:
            MissingDataError: they were not recorded, or the kernel lost notifications.
        """
        import pandas as pd

        path = self.path / f"{kind}.jsonl"
        if not path.is_file():
            raise MissingDataError(f"changes of {kind} were not recorded (net.watch)")
        if any(row["event"] == "watch-lost" for row in self._event_rows):
            raise MissingDataError(f"the kernel lost notifications of {kind}")
        rows = _json_lines(path, "node")
        frame = pd.DataFrame(rows)
        frame.insert(0, "time_s", (frame["time_ns"] - self.t0_ns) / 1e9)
        return frame

    def state(self, label: str, node: str, daemon: str, number: int = 0) -> str:
        """What a daemon answered at the moment named `label` (see `testbed.daemons.frr.save`)."""
        path = self.path / "states" / label / f"{node}.{daemon}.{number}.txt"
        if not path.is_file():
            raise MissingDataError(f"no state '{label}' of {daemon} in {node}")
        return path.read_text(encoding="utf-8")

    def stated(self, label: str, daemon: str) -> list[str]:
        """Nodes whose daemon of this name answered at the moment named `label`."""
        files = (self.path / "states" / label).glob(f"*.{daemon}.0.txt")
        return sorted(file.name.removesuffix(f".{daemon}.0.txt") for file in files)

    @property
    def traced(self) -> bool:
        """True if the run's kernel could record events."""
        return (self.path / "traces" / "trace.json").is_file()

    def trace(self, event: str) -> pd.DataFrame:
        """A kernel event such as ``tcp_probe``, one row per occurrence, with ``time_s``.

        Raises:
            MissingDataError: it was not traced, or the kernel's buffer lost occurrences.
        """
        from analysis import ftrace

        folder = self.path / "traces"
        if not self.traced:
            raise MissingDataError("this run has no kernel events (its kernel cannot trace)")
        frame = ftrace.read(folder, event)
        offset_ns = self.clock["realtime_ns"] - self.clock["monotonic_ns"]
        frame["time_ns"] += offset_ns
        frame.insert(0, "time_s", (frame["time_ns"] - self.t0_ns) / 1e9)
        return frame

    def stalls(self) -> pd.DataFrame:
        """When timers of the run's kernel fired late, in ns since time zero, and how late.

        A stall lies between ``began_ns`` and ``ended_ns``, and took ``late_ns`` or up to
        ``longest_ns``. Empty on the virtual clock.
        """
        import pandas as pd

        zero_ns = self.clock["monotonic_ns"]
        rows = [
            (s.began_ns - zero_ns, s.ended_ns - zero_ns, s.late_ns, s.ended_ns - s.began_ns)
            for s in gate.stalls(self.path)
        ]
        columns = ["began_ns", "ended_ns", "late_ns", "longest_ns"]
        return pd.DataFrame(rows, columns=columns, dtype="int64")

    def browser(self) -> dict[str, pd.DataFrame]:
        """What browsers did: ``visits``, ``requests`` and more; see `analysis.browser`.

        Raises:
            MissingDataError: one of their files is missing or damaged.
        """
        from analysis import browser

        try:
            return browser.read(self.path, self.clock)
        except ParseError as error:
            raise MissingDataError(str(error)) from error

    def log(self, name: str) -> str:
        """Output of a program started by ``net.start(..., log=name)``."""
        path = self.path / "logs" / f"{name}.log"
        if not path.is_file():
            raise MissingDataError(f"no log '{name}'")
        return path.read_text(encoding="utf-8", errors="replace")


def _json_lines(path: Path, word: str) -> list[dict[str, Any]]:
    """Rows of a file with one JSON object per line; each has a time and the key `word`."""
    rows = []
    for place, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rows.append(row | {"time_ns": int(row["time_ns"]), word: str(row[word])})
        except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise ParseError(str(path), f"line {place}", str(error)) from None
    return rows
