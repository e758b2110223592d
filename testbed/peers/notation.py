"""Packetdrill's notation: the text of a script to the steps that `player` plays.

    0     < S 0:0(0) win 1000 <mss 1460>            the script sends this segment at 0 s
    +0    > S. 0:0(0) ack 1 <...>                   and expects this one at once, any options
    +.1   < P. 1:6(5) ack 1 win 1000 "hello"        0.1 s later; the text is an addition of ours
    +0.2~+0.3 > . 1:1(0) ack 6                      within a range
    *     > F. 1:1(0) ack 6                         whenever it comes

Steps are also system calls (``+0 write(4, ..., 1000) = 1000``), shell commands in back quotes, and
Python code in ``%{ }%`` that sees ``tcpi_…``, the fields of TCP_INFO. The language is described in
packetdrill's ``syntax.md``; what is not read here (tunnels, MPTCP, PSP) is an error with its place.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from lark import Lark, Token, UnexpectedInput, v_args
from lark.exceptions import VisitError

from testbed.peers.grammar import GRAMMAR
from testbed.peers.segments import UNREACHABLE_CODES, option_octets
from testbed.peers.tokens import ScriptError, Words, check_depth

Step = dict[str, Any]
"""A step as data: ``line``, ``at`` (kind of time, from, to), ``do``, and what `do` needs."""

_LONGEST = 1_000_000
_MOST_STEPS = 20_000
_WORD32, _WORD16, _BYTE = 1 << 32, 1 << 16, 1 << 8
_LARGEST_PAYLOAD = 65_000
_MOST_OPTION_BYTES = 40


@dataclass(frozen=True)
class Script:
    """A script that was read.

    Attributes:
        name: for messages.
        options: the script's own ``--option=value`` lines.
        before: shell commands that come first.
        steps: what is played.
        after: shell commands that come last.
    """

    name: str
    options: dict[str, str]
    before: list[str]
    steps: list[Step]
    after: list[str]


def parse(text: str, name: str = "script") -> Script:
    """Reads a script.

    Args:
        text: the script.
        name: where it comes from, for messages.

    Raises:
        ScriptError: it cannot be read, or contains what cannot be played.
    """
    if len(text) > _LONGEST:
        raise ScriptError(f"{name}: a script has at most {_LONGEST} characters")
    try:
        tree = _parser().parse(text)
        check_depth(tree, name)
        read = _Reader(name, text).transform(tree)
    except UnexpectedInput as error:
        at = error.pos_in_stream if error.pos_in_stream is not None else len(text)
        if getattr(getattr(error, "token", None), "type", "") == "$END":
            raise ScriptError(f"{name}:{text.count(chr(10)) + 1}: ends too early") from None
        found = (text[at:].split(maxsplit=1) or [""])[0][:40]
        word = "".join(c if c.isprintable() else "?" for c in found)
        place = f"{name}:{error.line}:{error.column}"
        raise ScriptError(f"{place}: '{word}' is not expected here") from None
    except VisitError as error:
        if isinstance(error.orig_exc, ScriptError):
            raise error.orig_exc from None
        raise
    assert isinstance(read, Script)
    if not read.steps:
        raise ScriptError(f"{name}: has no steps")
    if len(read.steps) > _MOST_STEPS:
        raise ScriptError(f"{name}: has {len(read.steps)} steps; at most {_MOST_STEPS}")
    return read


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True, maybe_placeholders=True)


@v_args(inline=True)
class _Reader(Words):
    """The tree to a `Script`; each method is a rule of the grammar."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(name)
        self.lines = text.split("\n")

    def start(self, *parts: Any) -> Script:
        *first, last = parts
        steps, after = last or ([], [])
        options: dict[str, str] = dict(p for p in first if isinstance(p, tuple))
        return Script(self.name, options, [p for p in first if isinstance(p, str)], steps, after)

    def played(self, *parts: Any) -> tuple[list[Step], list[str]]:
        return [p for p in parts if isinstance(p, dict)], [p for p in parts if isinstance(p, str)]

    def option(self, name: Token, value: Token | None) -> tuple[str, str]:
        return str(name)[2:], str(value or "").strip('"')

    def command(self, text: Token) -> str:
        return str(text)[1:-1]

    # ---- steps and their times

    def step(self, time: tuple[Token | None, list[Any]], action: Step) -> Step:
        place, at = time
        token = place or action.pop("token", None)
        action.pop("token", None)
        kind, expects = at[0], action["do"] == "expect"
        if kind in {"whenever", "between", "after_between"} and not expects:
            raise self._wrong(_placed(token), "only a packet that is expected can have such a time")
        line = _placed(token).line or 0
        return {"line": line, "text": _bare(self.lines[line - 1]), "at": at, **action}

    def at(self, time: Token) -> tuple[Token, list[Any]]:
        return time, ["at", self._time(time)]

    def after(self, time: Token) -> tuple[Token, list[Any]]:
        return time, ["after", self._time(time)]

    def whenever(self) -> tuple[None, list[Any]]:
        return None, ["whenever"]

    def between(self, low: Token, high: Token) -> tuple[Token, list[Any]]:
        return low, self._range("between", low, high)

    def after_between(self, low: Token, high: Token) -> tuple[Token, list[Any]]:
        return low, self._range("after_between", low, high)

    def _range(self, kind: str, low: Token, high: Token) -> list[Any]:
        first, last = self._time(low), self._time(high)
        if last < first:
            raise self._wrong(high, f"the range ends before it begins ({low}~{high})")
        return [kind, first, last]

    def shell(self, text: Token) -> Step:
        return {"do": "shell", "text": str(text)[1:-1], "token": text}

    def code(self, text: Token) -> Step:
        return {"do": "code", "text": str(text)[2:-2].strip(" \t"), "token": text}

    # ---- packets

    def packet(self, direction: Token, ip: Step | None, packet: Step) -> Step:
        expected = direction == ">"
        packet["ip"] = ip or {}
        if not expected and packet.get("options", []) is None:
            raise self._wrong(direction, "<...> needs a packet that is expected (>)")
        if not expected and packet["ip"].get("ecn") == "ect01":
            raise self._wrong(direction, "ect01 needs a packet that is expected (>)")
        if expected and packet["proto"] == "icmp":
            raise self._wrong(direction, "an ICMP message cannot be expected, only sent (<)")
        if expected and packet.get("bad_checksum"):
            raise self._wrong(direction, "bad_checksum needs a packet that is sent (<)")
        return {"do": "expect" if expected else "send", "packet": packet, "token": direction}

    def ip(self, *parts: tuple[str, Any]) -> Step:
        return dict(parts)

    def ecn(self, word: Token) -> tuple[str, Any]:
        return "ecn", str(word)

    def tos(self, value: Token) -> tuple[str, Any]:
        return "tos", self._below(value, _BYTE, "tos")

    def ttl(self, value: Token) -> tuple[str, Any]:
        return "ttl", self._below(value, _BYTE, "ttl")

    def ports(self, source: Token, target: Token) -> list[int | None]:
        return [self._below(p, _WORD16, "port") for p in (source, target)]

    def range(self, first: Token, end: Token, length: Token) -> list[int]:
        start, stop = (self._below(t, _WORD32, "sequence number") or 0 for t in (first, end))
        size = self._below(length, _LARGEST_PAYLOAD, "length") or 0
        if (start + size) % _WORD32 != stop:
            right = f"{first}:{(start + size) % _WORD32}({length})"
            raise self._wrong(first, f"{first}:{end}({length}) does not add up; {right} does")
        return [start, size]

    def segment(
        self,
        ports: Any,
        flags: Token,
        where: list[int],
        ack: Token | None,
        window: Token | None,
        urgent: Token | None,
        options: Any,
        text: Token | None,
        bad_checksum: Token | None,
    ) -> Step:
        given = [] if options is None else options
        return {
            "proto": "tcp",
            "ports": ports,
            "flags": "" if flags == "-" else str(flags),
            "seq": where[0],
            "length": where[1],
            "ack": self._below(ack, _WORD32, "ack"),
            "window": self._below(window, _WORD16, "win"),
            "urgent": self._below(urgent, _WORD16, "urg") or 0,
            "options": None if given == "any" else self._fitting(flags, given),
            "payload": self._payload(text, where[1]),
            "bad_checksum": bad_checksum is not None,
        }

    def _fitting(self, token: Token, options: list[Any]) -> list[Any]:
        size = sum(len(option_octets(option)) for option in options)
        if size > _MOST_OPTION_BYTES:
            raise self._wrong(token, f"the options have {size} bytes; at most {_MOST_OPTION_BYTES}")
        return options

    def _payload(self, text: Token | None, length: int) -> str | None:
        if text is None:
            return None
        payload = self._octets(text)
        if len(payload) != length:
            raise self._wrong(text, f"the text has {len(payload)} bytes, not {length}")
        return payload.hex()

    def datagram(
        self, ports: Any, length: Token, text: Token | None, bad_checksum: Token | None
    ) -> Step:
        size = self._below(length, _LARGEST_PAYLOAD, "length") or 0
        return {
            "proto": "udp",
            "ports": ports,
            "length": size,
            "payload": self._payload(text, size),
            "bad_checksum": bad_checksum is not None,
        }

    def icmp(
        self, kind: Token, code: Token | None, mtu: Token | None, quoted: list[int] | None
    ) -> Step:
        if kind != "unreachable" or str(code) not in UNREACHABLE_CODES:
            known = ", ".join(UNREACHABLE_CODES)
            raise self._wrong(code or kind, f"ICMP: only unreachable with one of {known}")
        return {
            "proto": "icmp",
            "code": str(code),
            "mtu": self._below(mtu, _WORD16, "mtu") or 0,
            "seq": (quoted or [0, 0])[0],
        }

    # ---- TCP options: [name, values…]

    def any_options(self) -> str:
        return "any"

    def options(self, given: list[Any]) -> list[Any]:
        return given

    def option_list(self, *options: list[Any]) -> list[Any]:
        return list(options)

    def nop(self) -> list[Any]:
        return ["nop"]

    def eol(self) -> list[Any]:
        return ["eol"]

    def mss(self, value: Token) -> list[Any]:
        return ["mss", self._below(value, _WORD16, "mss")]

    def wscale(self, value: Token) -> list[Any]:
        return ["wscale", self._below(value, _BYTE, "wscale")]

    def sack_ok(self) -> list[Any]:
        return ["sackOK"]

    def sack(self, *blocks: list[int]) -> list[Any]:
        return ["sack", list(blocks)]

    def sack_block(self, *edges: Token) -> list[int | None]:
        return [self._below(edge, _WORD32, "sack") for edge in edges]

    def timestamps(self, *values: Token) -> list[Any]:
        return ["TS", *(self._below(v, _WORD32, "TS") for v in values)]

    def fast_open(self, cookie: Token | None) -> list[Any]:
        return self._kind(34, "", cookie)

    def fast_open_experiment(self, cookie: Token | None) -> list[Any]:
        return self._kind(254, "f989", cookie)

    def md5(self, digest: Token) -> list[Any]:
        return self._kind(19, "", digest)

    def kind(self, number: Token, digits: Token | None) -> list[Any]:
        return self._kind(self._below(number, _BYTE, "kind") or 0, "", digits)

    def _kind(self, number: int, prefix: str, digits: Token | None) -> list[Any]:
        if digits is not None and len(digits) > 2 * _MOST_OPTION_BYTES:
            raise self._wrong(digits, f"an option has at most {_MOST_OPTION_BYTES} bytes")
        if digits is not None and len(digits) % 2:
            raise self._wrong(digits, f"'{digits}' has an odd number of hexadecimal digits")
        return ["kind", number, prefix + str(digits or "")]

    # ---- system calls and their values

    def call(
        self,
        until: Token | None,
        name: Token,
        arguments: list[Any] | None,
        result: Any,
        error: Token | None,
        *_notes: Token,
    ) -> Step:
        return {
            "do": "call",
            "until_s": None if until is None else self._time(until),
            "name": str(name),
            "arguments": arguments or [],
            "result": result,
            "error": None if error is None else str(error),
            "token": name,
        }

    def arguments(self, *values: Any) -> list[Any]:
        return list(values)

    def integer(self, value: Token) -> int:
        return self._number(value)

    def hexadecimal(self, value: Token) -> int:
        return self._number(value)

    def anything(self) -> Step:
        return {"any": True}

    def text(self, *parts: Token) -> Step:
        return {"text": b"".join(self._octets(p) for p in parts).decode("latin-1")}

    def word(self, value: Token) -> Step:
        return {"word": str(value)}

    def either(self, *terms: Any) -> Any:
        return {"or": list(terms)}

    def called(self, name: Token, arguments: list[Any] | None) -> Step:
        return {"called": str(name), "arguments": arguments or []}

    def sequence(self, values: list[Any] | None) -> list[Any]:
        return values or []

    def structure(self, *fields: Any) -> Step:
        return {"fields": list(fields)}

    def pair(self, name: Any, value: Any) -> Step:
        return {"name": name.get("word") or name.get("called"), "value": value}


_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//.*|/\*.*?(?:\*/|$)')


def _bare(line: str) -> str:
    """A line without its comments; texts in quotes may look like one."""
    return _COMMENT.sub(lambda found: found[1] or "", line).strip()


def _placed(token: Token | None) -> Token:
    assert token is not None
    return token


def plan(script: Script) -> dict[str, Any]:
    """A script as the player takes it; the caller adds where it is played."""
    return asdict(script)
