"""HTTP/1 messages in the streams of a connection (RFC 9112); h11 does the parsing.

h11 is as strict as a server should be, and an observer must also read what servers refuse. So a
message that h11 does not take is marked with what h11 said, its first line and fields are read as
far as they go, and the next message is looked for behind it: the same as behind a hole.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache

import h11

from analysis.streams import Conversation, Run, Stream

REQUEST, RESPONSE = "request", "response"
_REQUEST_LINE = re.compile(rb"([A-Z][A-Z-]{2,15}) ([^\r\n]{1,65536}) HTTP/(1\.[01])\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) (\d{3})(?: ([^\r\n]{0,1000}))?\r?\n")
_BEGINNING = rb"(?:HTTP/1\.[01] \d{3}[ \r\n]|[A-Z][A-Z-]{2,15} [^\r\n]{1,65536} HTTP/1\.[01]\r?\n)"
_BEGINS = re.compile(rb"(?:\r?\n){0,8}" + _BEGINNING)  # empty lines may come first: §2.2
_BEGINS_LINE = re.compile(rb"(?<=\n)" + _BEGINNING)
_FIELD = re.compile(rb"^([^\s:][^:\r\n]{0,200}):[ \t]*([^\r\n]*)", re.MULTILINE)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LONGEST_HEAD_BYTES = 1 << 18
_FILLED_BYTES, _FILLED_PER_BYTE = 1 << 20, 256
"""Holes in a stream's bodies are filled up to this many bytes, and this many more for each byte
captured, so that time is linear in the capture. A message ends at a hole beyond that."""

MOST_MESSAGES = 10_000
"""Messages of one side of a connection that are read; the last one says that more may follow."""

MOST_KEPT_BYTES = 256 << 20
"""Bytes of bodies that are kept of one side of a connection."""

_PIECE_BYTES = 1 << 12  # what lies behind a message is fed again with the next one
_HOLE_PIECE_BYTES = 1 << 16


@dataclass
class Message:
    """One request or response.

    Attributes:
        side: of the connection that sent it.
        kind: `REQUEST` or `RESPONSE`.
        begin, head_end, end: places in the side's stream.
        headers: names as sent, and values, in their order.
        body: its first bytes, without the chunks' framing; what the capture lacks reads as 0.
        body_bytes: all its bytes.
        by_close: the end of the stream ends the body (RFC 9112 §6.3).
        complete: it came to its end.
        cut: the capture lacks a part, or ends within it.
        problem: why h11 refused it, or, of the last one read (`cut`), that no more are; or empty.
        request: what a response answers, where that was captured.
    """

    side: int
    kind: str
    begin: int
    head_end: int
    end: int
    version: str = ""
    method: str | None = None
    target: str | None = None
    status: int | None = None
    reason: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    body_bytes: int = 0
    by_close: bool = False
    complete: bool = False
    cut: bool = False
    problem: str = ""
    request: Message | None = None

    def header(self, name: str) -> str | None:
        """The value of a header, of several the first; None if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), None)


def messages(
    conversation: Conversation, ports: Collection[int], most_body_bytes: int
) -> list[Message]:
    """The messages of a connection: requests, then responses; empty if it does not speak HTTP.

    Args:
        conversation: the connection.
        ports: where a stream whose beginning was not captured is searched for messages.
        most_body_bytes: how much of each body is kept.
    """
    kinds = [_kind(stream) for stream in conversation.sides]
    if kinds == ["", ""]:
        to = [stream.dport in ports for stream in conversation.sides]
        if not any(to):
            return []
        turned = to[1] and not to[0]
    else:
        turned = kinds[0] == RESPONSE or kinds[1] == REQUEST
    order = (1, 0) if turned else (0, 1)
    asking, answering = (conversation.sides[side] for side in order)
    requests = list(_Side(asking, order[0], REQUEST, [], most_body_bytes).messages())
    starts = [(asking.frame(one.begin), one) for one in requests]
    responses = list(_Side(answering, order[1], RESPONSE, starts, most_body_bytes).messages())
    for one in responses:
        if one.status == 101 and one.request:  # what follows is another protocol's
            requests = [known for known in requests if known.begin <= one.request.begin]
    return requests + responses


def _kind(stream: Stream) -> str:
    """What a stream begins with; empty if not with HTTP."""
    if not stream.head[:1].isalpha():
        return ""
    data = stream.runs[0].data
    return _kind_of(found) if (found := _BEGINS.match(data)) else ""


def _kind_of(beginning: re.Match[bytes]) -> str:
    return RESPONSE if beginning.group().lstrip().startswith(b"HTTP/") else REQUEST


class _Side:
    """Reads the messages of one stream."""

    def __init__(
        self,
        stream: Stream,
        side: int,
        kind: str,
        requests: list[tuple[int, Message]],
        most_body_bytes: int,
    ) -> None:
        """`requests` are what responses may answer, each with its first frame, in their order."""
        self.stream, self.side, self.kind = stream, side, kind
        self.requests, self.answered = requests, 0
        self.most_body_bytes = most_body_bytes
        captured = sum(run.end - run.begin for run in stream.runs)
        self.room_bytes = MOST_KEPT_BYTES
        self.fillable_bytes = _FILLED_BYTES + _FILLED_PER_BYTE * captured

    def messages(self) -> Iterator[Message]:
        """All messages up to `MOST_MESSAGES`, in their order."""
        place, read = 0, 0
        for number, run in enumerate(self.stream.runs):
            place = max(place, run.begin)
            while (begin := self._next_begin(run, place)) is not None:
                message = self._message(number, begin)
                read += 1
                if read == MOST_MESSAGES:
                    message.cut = True
                    message.problem = f"only {MOST_MESSAGES} messages of a connection are read"
                yield message
                if message.status == 101 or read == MOST_MESSAGES:
                    return
                place = max(message.end, begin + 1)

    def _next_begin(self, run: Run, place: int) -> int | None:
        """Where the next message begins in the run, from a place on."""
        here = place - run.begin
        found = _BEGINS.match(run.data, here) or _BEGINS_LINE.search(run.data, here)
        while found:
            if _kind_of(found) == self.kind:
                empty = len(found.group()) - len(found.group().lstrip())
                return run.begin + found.start() + empty
            found = _BEGINS_LINE.search(run.data, found.end())
        return None

    def _message(self, number: int, begin: int) -> Message:
        message = Message(self.side, self.kind, begin, begin, begin)
        if self.kind == RESPONSE:
            message.request = self._request_of(begin)
        parsing = _Parsing(self, message, number)
        try:
            parsing.read()
        except h11.RemoteProtocolError as error:
            if not (parsing.at_end or message.cut):
                message.problem = str(error)
        if message.head_end == begin:
            self._read_what_is_there(message, self.stream.runs[number])
        if message.request and not 100 <= (message.status or 0) < 200:
            self.answered += 1
        return message

    def _request_of(self, begin: int) -> Message | None:
        """The first request without an answer, if it began before the response."""
        if self.answered >= len(self.requests):
            return None
        frame, request = self.requests[self.answered]
        return request if frame < self.stream.delivered(begin) else None

    def _read_what_is_there(self, message: Message, run: Run) -> None:
        """First line and fields of a message that h11 does not take, or that is not whole."""
        data, here = run.data, message.begin - run.begin
        line = (_REQUEST_LINE if self.kind == REQUEST else _STATUS_LINE).match(data, here)
        if line is None:
            message.cut = not message.problem
            message.end = message.head_end = message.begin + 1
            return
        found = _HEAD_END.search(data, line.end() - 2, here + _LONGEST_HEAD_BYTES)
        end = found.end() if found else min(len(data), here + _LONGEST_HEAD_BYTES)
        _take_line(message, [part.decode("latin-1") for part in line.groups(b"")])
        message.headers = tuple(
            (name.decode("latin-1").strip(), value.decode("latin-1").strip())
            for name, value in _FIELD.findall(data, line.end(), end)
        )
        length = message.header("content-length") or "0"
        message.body_bytes = int(length) if length.isdecimal() and len(length) < 10 else 0
        message.head_end = run.begin + end
        message.end = min(message.head_end + message.body_bytes, run.end)
        message.body_bytes = message.end - message.head_end
        message.body = data[end : end + min(message.body_bytes, self.most_body_bytes)]
        message.complete = found is not None and bool(message.problem)


def _take_line(message: Message, parts: list[str]) -> None:
    if message.kind == REQUEST:
        message.method, message.target, message.version = parts
    else:
        message.version, message.status, message.reason = parts[0], int(parts[1]), parts[2]


@cache
def _asked(method: str) -> h11.Request:
    """A request that lets any response follow: h11 reads a response by its request."""
    fields = [("host", "h"), ("connection", "upgrade"), ("upgrade", "any")]
    return h11.Request(method=method, target="/", headers=fields)


class _Parsing:
    """Feeds one message to h11."""

    def __init__(self, side: _Side, message: Message, number: int) -> None:
        self.side, self.stream, self.message, self.number = side, side.stream, message, number
        self.most = side.most_body_bytes
        self.place, self.at_end = message.begin, False
        self.body: list[bytes] = []
        request = message.kind == REQUEST
        role = h11.SERVER if request else h11.CLIENT
        self.parser = h11.Connection(role, max_incomplete_event_size=_LONGEST_HEAD_BYTES)
        if not request:
            method = message.request.method if message.request else None
            self.parser.send(_asked(method if method in ("HEAD", "CONNECT") else "GET"))

    def read(self) -> None:
        """Reads to the end of the message, or of what there is of it."""
        message = self.message
        try:
            while True:
                event = self.parser.next_event()
                if event is h11.NEED_DATA:
                    if not self._feed():
                        break
                elif isinstance(event, h11.Data):
                    self._keep(bytes(event.data))
                elif isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
                    self._take_head(event)
                    if isinstance(event, h11.InformationalResponse):
                        message.complete = True
                        break
                else:  # the end, or another protocol's beginning
                    message.complete = True
                    break
        finally:
            message.body = b"".join(self.body)
            behind = len(self.parser.trailing_data[0])
            message.end = max(self.place - behind, message.head_end)
            message.by_close = message.complete and self.parser.trailing_data[1]

    def _take_head(self, event: h11.Request | h11.Response | h11.InformationalResponse) -> None:
        message = self.message
        message.head_end = self.place - len(self.parser.trailing_data[0])
        message.version = event.http_version.decode("ascii")
        message.headers = tuple(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in event.headers.raw_items()
        )
        if isinstance(event, h11.Request):
            message.method = event.method.decode("ascii")
            message.target = event.target.decode("latin-1")
        else:
            message.status, message.reason = event.status_code, event.reason.decode("latin-1")

    def _keep(self, data: bytes) -> None:
        room = min(self.most - self.message.body_bytes, self.side.room_bytes)
        if room > 0:
            self.body.append(data[:room])
            self.side.room_bytes -= len(self.body[-1])
        self.message.body_bytes += len(data)

    def _feed(self) -> bool:
        """Gives h11 more; False if there is no more."""
        run = self.stream.runs[self.number]
        if self.place < run.end:
            here = self.place - run.begin
            data = run.data[here : here + _PIECE_BYTES] if self.place >= run.begin else b""
            if not data:  # in a hole before the run
                data = bytes(min(_HOLE_PIECE_BYTES, run.begin - self.place))
            self.place += len(data)
            self.parser.receive_data(data)
            return True
        if self.number + 1 < len(self.stream.runs):
            self.message.cut = True
            following = self.stream.runs[self.number + 1]
            if self.message.head_end == self.message.begin:
                return False  # a head with a hole cannot be read
            if following.missing_bytes > self.side.fillable_bytes:
                return False
            self.side.fillable_bytes -= following.missing_bytes
            self.number += 1
            return True
        self.at_end = self.stream.close == "fin"
        if self.at_end:
            self.parser.receive_data(b"")
        self.message.cut = self.message.cut or self.stream.close == "open"
        return self.at_end
