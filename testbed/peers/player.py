"""Plays a script in a node; the standard library alone.

    python3 -I -S player.py FILE

FILE is what `plan` made. Prints what happens as JSON, one object a line, ``time_ns`` first; the
last one has ``event`` ``end`` and a ``verdict``: ``pass``, ``differs`` (with ``line``, ``expected``
and ``came``) or ``unsupported``. Ends with 0, 1 or 2.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from testbed.peers import matching, segments
from testbed.peers.calls import Calls
from testbed.peers.links import Tun, Wire
from testbed.peers.segments import Connection, Packet
from testbed.peers.values import DiffersError, UnsupportedError
from testbed.programs.telling import tell

RESOLUTION_US = 10
_STEP_US = 2
"""Times are compared to this, and so much more for each step before at the same time: each reading
of a virtual clock moves it by 256 ns."""

_NS, _US = 10**9, 10**3
_GRACE_S = 1.0
"""How long to wait for a packet that is late, to say how late it was."""

_FIRST_PORT = 50_000
_TCP_PORT = 8080
_LOCAL, _REMOTE = "192.168.0.1", "192.0.2.1"
_EXIT = {"pass": 0, "differs": 1, "unsupported": 2}
_OPTIONS = {
    "tolerance_usecs",
    "tolerance_percent",
    "strict_segments",
    "local_ip",
    "remote_ip",
    "gateway_ip",
    "mtu",
    "ip_version",
    "tcp_ts_tick_usecs",
    "tcp_ts_ecr_scaled",
}
_SHELL_LIMIT_S = 60


class Player:
    """A script under way.

    Attributes:
        largest_us: the largest deviation from an expected time so far.
    """

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan, self.options = plan, plan["options"]
        self.largest_us = 0
        self._connections: dict[tuple[int, int], Connection] = {}
        self._waiting: list[Packet] = []
        self._next_port = _FIRST_PORT
        self._start_ns = 0
        self._now_us = 0  # the script's time of the step before
        self._crowd = 0  # steps before at the same time
        self._tolerance = self._tolerances()
        self._connection, self._link = self._meet(plan["wire"])
        self.calls = Calls(self.options.get("local_ip", _LOCAL), self._remote, _TCP_PORT)

    def _tolerances(self) -> tuple[float, float]:
        """In µs, and as a share of the time since the step before."""
        least = self._number("tolerance_usecs", self.plan["tolerance_us"])
        share = self._number("tolerance_percent", self.plan["tolerance_percent"]) / 100
        return max(least, RESOLUTION_US), share

    def _number(self, option: str, default: float) -> float:
        text = self.options.get(option, default)
        try:
            number = float(text)
            if not math.isfinite(number):
                raise ValueError
            return number
        except ValueError:
            raise UnsupportedError(f"--{option}={text}, which is not a number") from None

    def _meet(self, wire: dict[str, Any] | None) -> tuple[Connection | None, Tun | Wire]:
        unknown = sorted(set(self.options) - _OPTIONS)
        if unknown or self.options.get("ip_version", "ipv4") != "ipv4":
            raise UnsupportedError(f"--{(unknown or ['ip_version'])[0]}")
        if wire is not None:
            self._remote = wire["peer"][0]
            connection = Connection(tuple(wire["peer"]), tuple(wire["tested"]))
            self._connections[wire["peer"][1], wire["tested"][1]] = connection
            return connection, Wire(self._remote, set(wire["ports"]))
        local = self.options.get("local_ip", _LOCAL)
        self._remote = self.options.get("remote_ip", _REMOTE).partition("/")[0]
        return None, Tun(local, self._remote, int(self._number("mtu", 1500)))

    # ---- the steps

    def play(self) -> None:
        """Plays all steps.

        Raises:
            DiffersError: something was not as the script says.
            UnsupportedError: the script asks for what this program does not do.
        """
        for text in self.plan["before"]:
            self._shell(text)
        self._start_ns = time.time_ns()
        tell(event="start")
        for step in self.plan["steps"]:
            try:
                self._step(step)
            except (DiffersError, UnsupportedError) as error:
                error.line = error.line or step["line"]
                error.expected = error.expected or step["text"]
                raise
        self.calls.finish(self._time_us)
        for text in self.plan["after"]:
            self._shell(text)

    def _step(self, step: dict[str, Any]) -> None:
        kind, *times = step["at"]
        base = self._now_us if kind in {"after", "after_between", "whenever"} else 0
        self._crowd = self._crowd + 1 if times and not times[0] and base == self._now_us else 0
        low, high = ([base + round(t * 1e6) for t in (times[0], times[-1])]) if times else (0, 0)
        if step["do"] == "expect":
            self._expect(step, None if kind == "whenever" else (low, high))
            return
        now_us = self._wait_until(low)
        if now_us - low > self._allowed(low):
            came = f"its time, {low / 1e6:.6f} s, has passed: it is {now_us / 1e6:.6f} s"
            raise DiffersError(step["text"], came)
        getattr(self, f"_do_{step['do']}")(step, base)
        self._now_us = low

    def _allowed(self, time_us: float) -> float:
        least, share = self._tolerance
        return max(least, share * (time_us - self._now_us)) + _STEP_US * self._crowd

    def _do_send(self, step: dict[str, Any], _base: int) -> None:
        packet = step["packet"]
        self._collect()
        connection = self._of_sent(packet)
        self._link.send(segments.build(packet, connection))
        tell(event="sent", line=step["line"], packet=step["text"])

    def _do_call(self, step: dict[str, Any], base: int) -> None:
        self.calls.finish(self._time_us)
        until = step["until_s"]
        end_us = None if until is None else base + round(until * 1e6)
        self.calls.run(step, end_us, self._time_us, self._allowed)

    def _do_shell(self, step: dict[str, Any], _base: int) -> None:
        self._shell(step["text"])

    def _do_code(self, step: dict[str, Any], _base: int) -> None:
        self.calls.code(step["text"])

    def _shell(self, text: str) -> None:
        environment = {**os.environ, "PACKETDRILL_PID": str(os.getpid())}
        command = f"'{(text.strip().splitlines() or [''])[0]}'"
        try:
            done = subprocess.run(
                ["/bin/bash", "-c", text],
                cwd=self.plan["folder"] or None,
                env=environment,
                capture_output=True,
                encoding="utf-8",
                errors="backslashreplace",
                timeout=_SHELL_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DiffersError(command, f"it has not ended after {_SHELL_LIMIT_S} s") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
            raise DiffersError(command, f"exit code {done.returncode}: {said[0]}")

    # ---- packets

    def _of_sent(self, packet: dict[str, Any]) -> Connection:
        """The connection of a packet that the script sends; a new one where a socket listens."""
        if packet.get("ports"):
            peer, tested = packet["ports"]
            key = (peer, tested)
            if key not in self._connections:
                address = self._connection.tested[0] if self._connection else self.calls.local
                self._connections[key] = Connection((self._remote, peer), (address, tested))
            self._connection = self._connections[key]
        elif self.calls.listens() or self._connection is None:
            self._next_port += 1
            ends = (self._remote, self._next_port), (self.calls.local, _TCP_PORT)
            self._connection = Connection(*ends)
        return self._connection

    def _expect(self, step: dict[str, Any], within: tuple[int, int] | None) -> None:
        """Waits for a packet, and compares it."""
        rest = dict(step["packet"])
        while True:
            packet = self._next(step, within)
            connection = self._of_seen(packet, rest)
            matching.learn(rest, packet, connection)
            size = len(packet.payload)
            piece = 0 < size < rest["length"] and "strict_segments" not in self.options
            came = matching.shown(packet, connection)
            when_us = (packet.time_ns - self._start_ns) / _US
            clock = "tcp_ts_tick_usecs" in self.options
            if wrong := matching.difference(rest, packet, connection, piece=piece, clock=clock):
                raise DiffersError(step["text"], f"{came} at {when_us / 1e6:.6f} s: {wrong}")
            self._check_time(step, within, when_us, came)
            seen_ns = packet.time_ns or time.time_ns()
            tell(time_ns=seen_ns, event="received", line=step["line"], packet=came)
            if not piece:
                break
            rest |= {"seq": (rest["seq"] + size) & 0xFFFFFFFF, "length": rest["length"] - size}
            rest["payload"] = rest["payload"] and rest["payload"][2 * size :]
        exact = within and within[0] == within[1] and abs(when_us - within[0]) <= RESOLUTION_US
        self._now_us = within[0] if within and exact else round(when_us)

    def _check_time(
        self, step: dict[str, Any], within: tuple[int, int] | None, when_us: float, came: str
    ) -> None:
        if within is None:
            return
        low, high = within
        off = max(low - when_us, when_us - high, 0)
        self.largest_us = max(self.largest_us, round(off))
        if off > self._allowed(low):
            wanted = f"{low / 1e6:.6f} s" if low == high else f"{low / 1e6:g} to {high / 1e6:g} s"
            raise DiffersError(f"{step['text']} at {wanted}", f"{came} at {when_us / 1e6:.6f} s")

    def _next(self, step: dict[str, Any], within: tuple[int, int] | None) -> Packet:
        """The next packet of the connection that the step is about."""
        limit_us = self._now_us + self.plan["limit_s"] * 1e6 if within is None else within[1]
        last_us = limit_us + self._allowed(limit_us) + _GRACE_S * 1e6
        while True:
            self._collect()
            while self._waiting:
                packet = self._waiting.pop(0)
                if self._is_ours(packet, step["packet"]):
                    return packet
            left_us = last_us - self._time_us()
            if left_us <= 0:
                when = "" if within is None else f" at {within[0] / 1e6:.6f} s"
                raise DiffersError(f"{step['text']}{when}", self._silence())
            self._link.wait(left_us / 1e6)

    def _silence(self) -> str:
        return f"nothing until {self._time_us() / 1e6:.6f} s"

    def _is_ours(self, packet: Packet, expected: dict[str, Any]) -> bool:
        """A packet of the current connection, or one that begins a connection."""
        ports, flags = expected.get("ports"), expected.get("flags", "")
        if (
            self.calls.connects
            and "S" in flags
            and "." not in flags
            and not packet.flags & segments.SYN
        ):
            return False  # of a connection before; this one begins
        if ports:
            return (packet.source[1], packet.target[1]) == tuple(ports)
        connection = self._connection
        if packet.protocol != segments.TCP or connection is None or not connection.tested[1]:
            return True
        if (connection.tested, connection.peer) == (packet.source, packet.target):
            return True
        return "S" in flags and bool(packet.flags & segments.SYN)

    def _of_seen(self, packet: Packet, expected: dict[str, Any]) -> Connection:
        """The connection of a packet that came; a new one if it begins one."""
        key = (packet.target[1], packet.source[1])
        connection = self._connection
        if connection is None or (connection.peer[1], connection.tested[1]) != key:
            if packet.protocol == segments.ICMP and connection is not None:
                return connection
            known = self._connections.get(key)
            connection = known or Connection(packet.target, packet.source)
            self._connections[key] = self._connection = connection
        return connection

    # ---- time

    def _time_us(self) -> float:
        return (time.time_ns() - self._start_ns) / _US

    def _collect(self) -> None:
        self._waiting += self._link.packets()

    def _wait_until(self, time_us: float) -> float:
        """Waits; returns the time it is then, in µs."""
        while (now_us := self._time_us()) < time_us:
            self._link.wait((time_us - now_us) / 1e6)
            self._collect()
        return now_us


def _end(verdict: str, **row: Any) -> int:
    tell(event="end", verdict=verdict, **row)
    return _EXIT[verdict]


def main(file: str) -> int:
    """Plays the script of a file; returns the exit code."""
    plan = json.loads(Path(file).read_text(encoding="utf-8"))
    try:
        Path("/proc/self/timerslack_ns").write_text("1", encoding="ascii")
        player = Player(plan)
        player.play()
    except DiffersError as error:
        return _end("differs", line=error.line, expected=error.expected, came=error.came)
    except UnsupportedError as error:
        return _end("unsupported", line=error.line, what=str(error))
    return _end("pass", largest_us=player.largest_us)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
