"""The sockets lab: a client and a server that survive any cutting of the byte stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from testbed import (
    Assignment,
    ConvergenceError,
    Process,
    SeededRandom,
    Tables,
    Verdict,
    claim,
    holds,
    param,
)
from topologies.single import Single

if TYPE_CHECKING:
    from testbed import RunningNetwork, ScenarioData

PEER = "peer.py"
"""Our own client and server, which cut what they send."""

START_S, LIMIT_S = 10.0, 20.0
"""For the server to listen; for a client to finish."""

MESSAGES = ("hello", "", "网络实验", "a longer one, with spaces", "x" * 1400, "last")
TASKS: dict[str, Callable[[str], str]] = {
    "upper": lambda text: text.upper(),
    "reverse": lambda text: text[::-1],
    "length": lambda text: str(len(text)),
}
"""What the server answers."""

BYTE_BY_BYTE = (1,)
_SHOWN = 60


class Lab(Assignment):
    """Messages over TCP: a client and a server."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        port: int = param(5000, "port of the server", low=1024, high=49_000)
        prefix_bytes: int = param(2, "bytes of the length prefix", low=2, high=4)
        task: str = param("upper", "what the server answers", choices=tuple(TASKS))

    params: Parameters
    programs = ("ss",)

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Port, prefix and task."""
        return {
            "port": random.integer(5000, 5999),
            "prefix_bytes": random.choice((2, 4)),
            "task": random.choice(tuple(TASKS)),
        }

    def expected(self, messages: tuple[str, ...] = MESSAGES) -> list[str]:
        """The right answers."""
        return [TASKS[self.params.task](text) for text in messages]

    # ---- in the network

    def topology(self) -> Single:
        """A client and a server."""
        return Single(2)

    def inputs(self) -> Mapping[str, str]:
        """Our own client and server."""
        return {PEER: Path(__file__).with_name(PEER).read_text(encoding="utf-8")}

    def run(self, net: RunningNetwork) -> None:
        """The student's programs with each other, then the server with a client that cuts."""
        net.capture("h2-eth0")
        port = str(self.params.port)
        self.submission.start_program(net, "h2", ["python3", "server.py", port], log="server")
        try:
            net.wait_until("a server", lambda: _listens(net, port), START_S, every_s=0.2)
        except ConvergenceError:
            net.event("no-server")
            return
        self.client(net, "both", self.params.port)
        self.cut(net, "byte_by_byte", BYTE_BY_BYTE)

    def client(self, net: RunningNetwork, log: str, port: int) -> None:
        """Runs the student's client."""
        command = ["python3", "client.py", net.address("h2"), str(port), *MESSAGES]
        program = self.submission.start_program(net, "h1", command, log=log, errors_apart=True)
        finish(program)

    def cut(
        self, net: RunningNetwork, log: str, sizes: tuple[int, ...], pause_s: float = 0
    ) -> None:
        """Runs our client, which sends pieces of these sizes, again and again."""
        finish(self.start_cut(net, log, sizes, pause_s))

    def start_cut(
        self, net: RunningNetwork, log: str, sizes: tuple[int, ...], pause_s: float
    ) -> Process:
        """The same, without waiting."""
        p = self.params
        plan = {"prefix_bytes": p.prefix_bytes, "sizes": sizes, "pause_s": pause_s or 0.001}
        plan |= {"address": net.address("h2"), "port": p.port, "messages": MESSAGES}
        return net.start("h1", "python3", str(net.path / PEER), json.dumps(plan), log=log)

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """What each program printed: `log`, `text`; and whether there was a server."""
        logs = sorted((data.path / "logs").glob("*.log"))
        texts = [p.read_text(encoding="utf-8", errors="replace") for p in logs]
        printed = pd.DataFrame({"log": [p.stem for p in logs], "text": texts})
        served = pd.DataFrame({"served": [data.events("no-server").empty]})
        return {"printed": printed, "served": served}

    def printed(self, tables: Tables, log: str) -> str | None:
        """What a program printed; None: it was not started, for lack of a server."""
        rows = tables.rows("printed")
        found = rows[rows["log"] == log]["text"]
        return None if found.empty else str(found.iloc[0])

    def answers_of(self, tables: Tables, log: str) -> Verdict:
        """Judges the answers that our client got."""
        text = self.printed(tables, log)
        if text is None:
            return self.no_server()
        return self.judge(*reported(text, "answers"))

    def judge(self, got: list[str], end: str) -> Verdict:
        """Compares answers, and names the first that is wrong."""
        wanted = self.expected()
        for number, (one, right) in enumerate(zip(got, wanted, strict=False)):
            if one != right:
                observed = f"answer {number + 1} is {_short(one)}"
                return holds(False, observed=observed, expected=_short(right))
        plural = "" if len(got) == 1 else "s"
        observed = f"{len(got)} answer{plural}{', ' if end else ''}{end}"
        ok = len(got) == len(wanted) and not end
        return holds(ok, observed=observed, expected=f"{len(wanted)} answers, then the end")

    def no_server(self) -> Verdict:
        """Why nothing could be tried."""
        observed = f"server.py does not listen on port {self.params.port} after {START_S:g} s"
        return holds(False, observed=observed, expected="a server")

    # ---- public checks

    @claim("Client and server understand each other.", source="RFC 9293 §2.2")
    def both(self, tables: Tables) -> Verdict:
        """The client prints every answer on a line of its own; standard error does not count."""
        text = self.printed(tables, "both")
        return self.no_server() if text is None else self.judge(lines_of(text), "")

    @claim("The server answers requests that arrive byte by byte.", source="RFC 9293 §3.9.1")
    def byte_by_byte(self, tables: Tables) -> Verdict:
        """A segment for each byte."""
        return self.answers_of(tables, "byte_by_byte")


def lines_of(text: str) -> list[str]:
    """The lines that a client printed; an empty answer is an empty line."""
    return text.removesuffix("\n").split("\n") if text else []


def reported(text: str, what: str) -> tuple[list[str], str]:
    """The answers or requests that our program reports, and what was wrong with their end."""
    try:
        found = json.loads(text)
    except ValueError:
        return [], f"and our program did not end within {LIMIT_S:g} s"
    return found[what], found["end"]


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _listens(net: RunningNetwork, port: str) -> bool:
    return f":{port} " in net.exec("h2", "ss", "-Hltn")


def finish(process: Process) -> None:
    """Waits for a program's end, and ends it after the longest time."""
    try:
        process.wait(LIMIT_S)
    except ConvergenceError:
        process.stop()
