"""The detection lab: captures at the edge of a site, and a program that finds attacks in them."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labs.detect import packets, scoring, traffic
from labs.detect.scoring import Report, Score
from labs.detect.traffic import KINDS, PAUSE_S, PUBLIC, ROUND_S, Attack, Material, Round
from testbed import (
    Assignment,
    ConvergenceError,
    SeededRandom,
    Tables,
    Verdict,
    claim,
    crafted,
    holds,
    name_service,
    param,
    share_of,
    shown,
)
from testbed.daemons import start
from testbed.daemons.database_pages import DatabasePages
from testbed.daemons.nsd import Nsd
from topologies.edge import Edge

if TYPE_CHECKING:
    import pandas as pd

    from testbed import RunningNetwork, ScenarioData

EDGE = "r1-eth0"
"""Where packets are captured: the router's interface in the LAN."""

READER, ROUNDS, PRACTICE = "packets.py", "rounds", "practice"
"""The module that programs may import, the folder of the captures, and the public one."""

LIMIT_S = 20.0
"""For the program, besides the limit on processor time."""

MOST_NUMBER = 1_000_000_000
"""From which traffic is drawn."""

_FILE_HEADER_BYTES, _S_NS = 24, 1_000_000_000


@dataclass(frozen=True)
class Plan:
    """One round.

    Attributes:
        name: of its capture.
        number: what it is drawn from.
        kinds: of the attacks in it.
        material: what it is made of.
    """

    name: str
    number: int
    kinds: Sequence[str] = KINDS
    material: Material = PUBLIC


class Lab(Assignment):
    """Find the attacks in captures."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        places: int = param(1, "where servers are", low=0, high=MOST_NUMBER)
        practice: int = param(1, "what the practice capture has", low=0, high=MOST_NUMBER)

    params: Parameters
    programs = ("python3", "nsd", "ip", "ping")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Numbers from which everything is drawn."""
        return {
            "places": random.integer(2, MOST_NUMBER),
            "practice": random.integer(2, MOST_NUMBER),
        }

    def rounds(self) -> list[Plan]:
        """The captures that are made, in order."""
        return [Plan(PRACTICE, self.params.practice)]

    # ---- in the network

    def topology(self) -> Edge:
        """A site and the world."""
        return Edge(traffic.INSIDE, traffic.OUTSIDE)

    def inputs(self) -> Mapping[str, str]:
        """The reader of captures, for programs."""
        return {READER: Path(packets.__file__).read_text("utf-8")}

    def run(self, net: RunningNetwork) -> None:
        """Plays the rounds, cuts the capture into one for each, and shows them to the program."""
        webs, dns = places = traffic.servers(self.params.places)
        shop = DatabasePages(port=traffic.WEB_PORT, flaws=["parameters-everywhere"])
        start(net, {node: [shop] for node in webs})
        start(net, {dns: [Nsd({"example.org": _zone(net.address(dns))})]})
        for web in webs:
            net.sysctl(web, "net.ipv4.tcp_synack_retries", 1)
        net.exec("r1", "ip", "route", "add", "blackhole", "default")  # to forged senders, any
        net.capture(EDGE)
        played = {plan.name: self._play(net, plan, places) for plan in self.rounds()}
        net.stop_captures()
        folder = net.path / ROUNDS
        folder.mkdir()
        whole = (net.path / "captures" / f"{EDGE}.pcap").read_bytes()
        for name, (begin_ns, end_ns, attacks) in played.items():
            zero_s = begin_ns // _S_NS
            capture = cut(whole, begin_ns, end_ns, zero_s)
            (folder / f"{name}.pcap").write_bytes(capture)
            first_ns, *_ = next(packets.records(capture))
            first_ns += zero_s * _S_NS
            answers = [_answer(attack, times_ns, first_ns) for attack, times_ns in attacks]
            (folder / f"{name}.jsonl").write_text("".join(answers), encoding="utf-8")
            self._look(net, name, folder / f"{name}.pcap")

    def _play(
        self, net: RunningNetwork, plan: Plan, places: tuple[Sequence[str], str]
    ) -> tuple[int, int, list[tuple[Attack, list[int]]]]:
        """Plays a round; when it began and ended, its attacks, and their packets' times, in ns."""
        this = Round(net, plan.number, places, plan.material)
        hosts = [f"h{number}" for number in range(1, traffic.INSIDE + 1)]
        wires = {node: net.inside(node, partial(_wire, node)) for node in hosts}
        for name in ("net.ipv4.ip_forward", "net.ipv4.conf.all.send_redirects"):
            net.sysctl(this.insider, name, int(name.endswith("forward")))
        began_ns = time.time_ns()
        noted: list[tuple[Attack, list[int]]] = []
        with crafted.sender(net, this.flooder) as out:
            events = list(this.honest(list(wires.values())))
            for attack in this.attacks(out, wires[this.insider]):
                if attack.kind in plan.kinds:
                    times_ns: list[int] = []
                    noted.append((attack, times_ns))
                    events += [(s, partial(_noting, times_ns, act)) for s, act in attack.acts]
            crafted.play_timed(net, *events, (ROUND_S, lambda: None))
        for wire in wires.values():
            wire.close()
        ended_ns = time.time_ns()
        net.sleep(PAUSE_S)
        return began_ns, ended_ns, noted

    def _look(self, net: RunningNetwork, name: str, capture: Path) -> None:
        """Runs the student's program, which sees this capture and no network."""
        os.utime(capture, (0, 0))
        given = {"/given/capture.pcap": str(capture), f"/given/{READER}": str(net.path / READER)}
        command = ["env", "PYTHONPATH=/given", "python3", "detect.py", "/given/capture.pcap"]
        program = self.submission.start_program(
            net, "r1", command, log=name, shown=given, errors_apart=True, network=False
        )
        try:
            code = program.wait(LIMIT_S)
        except ConvergenceError:
            program.stop()
            code = -1
        net.event("program", capture=name, code=code)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Attacks and reports by capture; how the program ended.

        Returns:
            ``attacks`` and ``reports``: ``capture`` and the fields of `Report`; ``ends``:
            ``capture``, ``code`` (-1: it did not end), ``problems``.
        """
        import pandas as pd

        attacks, reports, ends = [], [], []
        for row in data.events("program").to_dict("records"):
            name = str(row["capture"])
            happened, _ = scoring.read((data.path / ROUNDS / f"{name}.jsonl").read_text("utf-8"))
            output = (data.path / "logs" / f"{name}.log").read_text("utf-8", "replace")
            found, problems = scoring.read(output)
            attacks += [{"capture": name, **asdict(one)} for one in happened]
            reports += [{"capture": name, **asdict(one)} for one in found]
            ends.append({"capture": name, "code": row["code"], "problems": problems})
        columns = ["capture", *scoring.FIELDS]
        return {
            "attacks": pd.DataFrame(attacks, columns=columns),
            "reports": pd.DataFrame(reports, columns=columns),
            "ends": pd.DataFrame(ends, columns=["capture", "code", "problems"]),
        }

    def score(self, tables: Tables, capture: str, kinds: Sequence[str] = KINDS) -> Score:
        """How well the reports about a capture fit."""
        tables.row("ends", capture=capture)  # without it nothing is known
        happened, reports = (
            [
                Report(*(row[field] for field in scoring.FIELDS))
                for row in tables.rows(table, capture=capture).to_dict("records")
                if row["kind"] in kinds
            ]
            for table in ("attacks", "reports")
        )
        return scoring.score(happened, reports)

    # ---- public checks

    @claim("The program names attacks in the form that was asked for.", source="the handout")
    def form(self, tables: Tables) -> Verdict:
        """It ends without an error, and each line is a report."""
        end = tables.row("ends", capture=PRACTICE)
        lines = len(tables.rows("reports", capture=PRACTICE))
        problems = list(end["problems"])
        code = int(end["code"])
        return share_of(
            [
                holds(
                    code == 0,
                    observed="does not end" if code < 0 else f"ends with {code}",
                    expected="ends with 0",
                ),
                holds(
                    bool(lines) and not problems,
                    observed=shown(problems[0]) if problems else f"{lines} reports",
                    expected="one report per line, and nothing else",
                ),
            ]
        )

    @claim("In the practice capture every attack is named, and nothing else.", source="the handout")
    def practice(self, tables: Tables) -> Verdict:
        """Of all kinds together."""
        return judged(self.score(tables, PRACTICE))


def judged(found: Score) -> Verdict:
    """A verdict that earns the share F1 of its points."""
    verdict = holds(
        found.found == found.attacks and not found.alarms,
        observed=f"{found.found} of {found.attacks} attacks named, {found.alarms} false alarms: "
        f"recall {found.recall:.2f}, precision {found.precision:.2f}, F1 {found.f1:.2f}",
        expected=f"{found.attacks} of {found.attacks} attacks named, 0 false alarms",
    )
    return replace(verdict, score=found.f1)


def _answer(attack: Attack, times_ns: Sequence[int], first_ns: int) -> str:
    """What a program has to print of an attack, with times from the capture's first packet on."""
    begin_s, end_s = ((time_ns - first_ns) / 1e9 for time_ns in (times_ns[0], times_ns[-1]))
    fields = {"kind": attack.kind, "attacker": attack.attacker or None, "victim": attack.victim}
    return json.dumps({**fields, "begin_s": round(begin_s, 3), "end_s": round(end_s, 3)}) + "\n"


def _noting(times_ns: list[int], act: traffic.Act) -> None:
    times_ns.append(time.time_ns())
    act()


def _wire(node: str) -> socket.socket:
    """For whole frames of a host."""
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    made.bind((f"{node}-eth0", 0))
    return made


def _zone(address: str) -> str:
    """Any name may be the one with a long record, so the file does not say which."""
    text = " ".join(f'"{"x" * 250}"' for _ in range(4))
    records = {f"{name}.example.org.": ["A 192.0.2.1"] for name in traffic.NAMES}
    records["*.example.org."] = [f"TXT {text}"]
    return name_service.zone("example.org.", ("ns.example.org.", address), 60, records)


def cut(capture: bytes, begin_ns: int, end_ns: int, zero_s: int) -> bytes:
    """The part of a capture between two moments, as a capture whose times begin at `zero_s`.

    So nothing in it says when it was made, and which of the rounds it is.
    """
    parts, at = [capture[:_FILE_HEADER_BYTES]], _FILE_HEADER_BYTES
    for time_ns, frame, _ in packets.records(capture):
        size = packets.RECORD_BYTES + len(frame)
        if begin_ns <= time_ns <= end_ns:
            seconds = struct.pack("<I", time_ns // _S_NS - zero_s)
            parts.append(seconds + capture[at + len(seconds) : at + size])
        at += size
    return b"".join(parts)
