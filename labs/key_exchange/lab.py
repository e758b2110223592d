"""The key exchange lab: a client that agrees on a key with a server, and trusts nobody between."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.dissect import json_messages
from testbed import (
    Assignment,
    ConvergenceError,
    LinkShape,
    SeededRandom,
    Tables,
    Verdict,
    all_of,
    claim,
    holds,
    param,
    same,
    shown,
    steps,
)
from topologies.line import Line

if TYPE_CHECKING:
    import pandas as pd

    from testbed import Process, RunningNetwork, ScenarioData

PEER = "peer.py"
"""Our server, and the one on the path."""

PATH = "r1-eth0"
"""Where packets are captured: between the client and everybody else."""

PRIME = (
    "FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1D8B9C583CE2D3695"
    "A9E13641146433FBCC939DCE249B3EF97D2FE363630C75D8F681B202AEC4617A"
    "D3DF1ED5D5FD65612433F51F5F066ED0856365553DED1AF3B557135E7F57C935"
    "984F0C70E0E68B77E2A689DAF3EFE8721DF158A136ADE73530ACCA4F483A797A"
    "BC0AB182B324FB61D108A94BB2C8E3FBB96ADAB760D7F4681D4F42A3DE394DF4"
    "AE56EDE76372BB190B07A7C8EE0A6D709E02FCE1CDF7E2ECC03404CD28342F61"
    "9172FE9CE98583FF8E4F1232EEF28183C3FE3B1B4C6FAD733BB5FCBC2EC22005"
    "C58EF1837D1683B2C6F34A26C1B2EFFA886B423861285C97FFFFFFFFFFFFFFFF"
)
"""ffdhe2048 of RFC 7919, appendix A.1; the generator is 2."""

MESSAGES = ("first: open the account", "second: pay 100 euros to carol", "third: 再见")
SMALL_EXPONENTS = 1 << 16
"""What a listener tries."""

_MOST_NUMBERS = 500
"""In a client's messages; one that works sends about ten."""

_NUMBER = re.compile(r"[0-9a-fA-F]{1,700}")
"""Decimal or hexadecimal; 2048 bits have 617 or 512 digits."""

START_S, LIMIT_S = 20.0, 20.0
"""For our programs to listen; for a client to finish."""

DIRECT = "direct"
"""The session in which nobody interferes."""

WORDS = ("harbour", "lantern", "meadow", "orchard", "pebble", "thistle")
KEYS, MODE = "keys", "mode"
"""In the scenario's folder: the keys, and the file with the current session's name."""

_SERVER_KEY = "/in/server.pub"


class Lab(Assignment):
    """Agree on a key, and trust nobody between."""

    @dataclass(frozen=True)
    class Parameters:
        """The variant."""

        port: int = param(6000, "port of the server", low=1024, high=49_000)
        label: str = param("lantern", "what keys are derived for", choices=WORDS)

    params: Parameters
    programs = ("nft", "ss")

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Port and label."""
        return {"port": random.integer(6000, 6900), "label": random.choice(WORDS)}

    @property
    def prime_lines(self) -> list[str]:
        """The group's prime in lines, for starter and solution."""
        return [PRIME[at : at + 64] for at in range(0, len(PRIME), 64)]

    # ---- in the network

    def topology(self) -> Line:
        """Client and server in LANs of their own, two routers between them."""
        return Line(2, LinkShape(delay_ms=2))

    def inputs(self) -> Mapping[str, str]:
        """Our own programs."""
        return {PEER: Path(__file__).with_name(PEER).read_text(encoding="utf-8")}

    def run(self, net: RunningNetwork) -> None:
        """Starts our server, then the student's client, which talks to it directly."""
        (net.path / KEYS).mkdir()
        self.peer(net, "h2", "keys").wait(START_S)
        self.serve(net, "h2", "serve")
        self.attack(net)
        net.capture(PATH)
        self.client(net, DIRECT)

    def attack(self, net: RunningNetwork) -> None:
        """Nobody interferes here."""

    def peer(self, net: RunningNetwork, node: str, part: str) -> Process:
        """Starts one of our programs."""
        plan = {
            "prime": PRIME,
            "label": self.params.label,
            "keys": str(net.path / KEYS),
            "mode": str(net.path / MODE),
            "server": net.address("h2"),
            "port": self.params.port,
        }
        argv = ("/usr/bin/python3", "-I", str(net.path / PEER), part, json.dumps(plan))
        return net.start(node, *argv, log=f"peer-{part}")

    def serve(self, net: RunningNetwork, node: str, part: str) -> None:
        """The same, and waits until it listens."""
        self.peer(net, node, part)
        port = f":{self.params.port} "
        net.wait_until(
            f"{PEER} {part}", lambda: port in net.exec(node, "ss", "-Hltn"), START_S, every_s=0.2
        )

    def client(self, net: RunningNetwork, session: str) -> None:
        """Runs the student's client in a session; it cannot know which one it is.

        A program can find out what its log and the folder behind ``/out`` are called: from
        ``/proc/self/fd`` and ``/proc/self/mountinfo``. So the name is random.
        """
        (net.path / MODE).write_text(session, encoding="utf-8")
        log = f"client-{secrets.token_hex(4)}"
        steps.step(net, session, quiet_s=0.5, log=log)
        port = str(self.params.port)
        command = ["python3", "client.py", net.address("h2"), port, _SERVER_KEY, *MESSAGES]
        seen = {_SERVER_KEY: str(net.path / KEYS / "server.pub")}
        process = self.submission.start_program(
            net, "h1", command, log=log, shown=seen, errors_apart=True
        )
        try:
            process.wait(LIMIT_S)
        except ConvergenceError:
            process.stop()

    # ---- from the run directory

    def measure(self, data: ScenarioData) -> dict[str, pd.DataFrame]:
        """Packets and messages by session, what our programs told, what the client printed."""
        import pandas as pd

        ports = [self.params.port]
        read = {"messages": lambda packets: json_messages.read(packets, ports)}
        tables = steps.measure(data, json_messages.COLUMNS, read)
        logs = [
            (session, data.path / "logs" / f"{log}.log")
            for session, log in zip(tables["steps"]["step"], tables["steps"]["log"], strict=True)
        ]
        printed = [
            (session, path.read_text(encoding="utf-8", errors="replace"))
            for session, path in logs
            if path.is_file()
        ]
        return {
            **tables,
            "told": steps.json_logs(data, tables["steps"], "peer-"),
            "printed": pd.DataFrame(printed, columns=["session", "text"]),
        }

    def told(self, tables: Tables, session: str, what: str) -> list[Any]:
        """Values that our programs told under a name in a session."""
        rows = tables.rows("told")
        if what not in rows:
            return []
        return list(rows[rows["step"] == session][what].dropna())

    def printed(self, tables: Tables, session: str) -> list[str]:
        """The lines that the client printed."""
        rows = tables.rows("printed")
        found = rows[rows["session"] == session]["text"]
        return [] if found.empty else str(found.iloc[0]).splitlines()

    def sent(self, tables: Tables, session: str, side: str = "client") -> list[dict[str, Any]]:
        """The messages of a side in a session, as captured."""
        rows = tables.rows("messages")
        if rows.empty:
            return []
        found = rows[(rows["step"] == session) & (rows["side"] == side)]
        return [json.loads(text) for text in found["message"]]

    def sealed(self, tables: Tables, session: str) -> int:
        """How many sealed messages the client sent."""
        return sum("sealed" in message for message in self.sent(tables, session))

    def works(self, tables: Tables, session: str = DIRECT) -> Verdict:
        """The server understands the client, and the client the server."""
        replies = self.told(tables, session, "reply")
        lines = [shown(line, 80) for line in self.printed(tables, session)]
        return all_of(
            same(self.told(tables, session, "text"), list(MESSAGES), "the server reads"),
            same(lines, replies or ["the server's replies"], "the client prints"),
        )

    def judged(self, tables: Tables, *verdicts: Verdict) -> Verdict:
        """All of them, if the client works at all: one that says nothing withstands everything."""
        works = self.works(tables)
        return all_of(*verdicts) if works.status == "PASS" else works

    def octets(self, tables: Tables, session: str) -> bytes:
        """All payloads of a session."""
        rows = tables.rows("packets")
        rows = rows[rows["step"] == session]
        return b"".join(bytes(data) for data in rows["payload"].dropna())

    # ---- public checks

    @claim("Client and server agree on a key and understand each other.", source="RFC 7919 §4")
    def exchange(self, tables: Tables) -> Verdict:
        """Every message, in both directions."""
        return self.works(tables)

    @claim(
        "Somebody who listens reads neither messages nor keys, and cannot guess the exponent.",
        source="RFC 7919 §5.2",
    )
    def secret(self, tables: Tables) -> Verdict:
        """Texts and keys in all usual forms; exponents that are small, or sent along."""
        keys = [bytes.fromhex(text) for text in self.told(tables, DIRECT, "secret")]
        replies = [text.encode() for text in self.told(tables, DIRECT, "reply")]
        texts = [text.encode() for text in MESSAGES]
        seen = self.octets(tables, DIRECT)
        found = {
            name: sum(_occurs(one, seen) for one in group)
            for name, group in (("messages", texts), ("replies", replies), ("keys", keys))
        }
        hello = next(iter(self.sent(tables, DIRECT)), {})
        public = int.from_bytes(json_messages.octets(hello, "public"), "big")
        small = small_exponent(public)
        sent = sends_exponent(public, map(json.dumps, self.sent(tables, DIRECT)))
        return self.judged(
            tables,
            same(found, dict.fromkeys(found, 0), "in the clear"),
            holds(
                small is None,
                observed=f"exponent {'not found' if small is None else f'is {small}'}",
                expected="exponent not found",
            ),
            holds(
                not sent,
                observed=f"the client's messages {'have' if sent else 'do not have'} its exponent",
                expected="the client's messages do not have its exponent",
            ),
        )


def _occurs(text: bytes, seen: bytes) -> bool:
    """True if a text can be read, as it is, in hexadecimal, in Base64, or escaped as in JSON."""
    lower = seen.lower()
    escaped = json.dumps(text.decode(errors="replace"))[1:-1].encode()
    forms = (text, base64.b64encode(text).rstrip(b"="), escaped)
    return text.hex().encode() in lower or any(form in seen for form in forms)


def sends_exponent(public: int, messages: Iterable[str]) -> bool:
    """True if a number in the messages, decimal or hexadecimal, is a public value's exponent."""
    prime = int(PRIME, 16)
    words = dict.fromkeys(word for text in messages for word in _NUMBER.findall(text))
    numbers = [int(word, 16) for word in words]
    numbers += [int(word) for word in words if word.isdecimal()]
    return any(pow(2, number, prime) == public for number in numbers[:_MOST_NUMBERS])


def small_exponent(public: int) -> int | None:
    """The exponent of a public value, if it is small."""
    prime, found = int(PRIME, 16), 1
    for exponent in range(SMALL_EXPONENTS):
        if found == public:
            return exponent
        found = 2 * found % prime
    return None
