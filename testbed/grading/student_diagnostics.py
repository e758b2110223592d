"""What daemons and programs said about a submission while it ran: the lines a student must see.

A submission can write its own logs, so these lines are hints and decide nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from testbed.core.errors import TestbedError
from testbed.core.rundir import read_json
from testbed.daemons import frr
from testbed.grading import web_server
from testbed.grading.answers import shown
from testbed.grading.submission import CONFIGS, RENDERED

_MOST = 8
"""Number of lines of each kind."""

_TAIL_BYTES = 1 << 18
_TRACE = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "/(?:work|project/controller)/([^"/]+)", line (\d+)(, in .*)?$')
_NGINX = re.compile(r"^nginx: \[(emerg|warn)\] (.+)$", re.MULTILINE)
_NGINX_PLACE = re.compile(r"(.+) in (?:/work/([^/:]+)|/[^:]+):(\d{1,9})")
_DNSMASQ = re.compile(r"^dnsmasq: (.+) at line (\d{1,9}) of (\S+)$", re.MULTILINE)
_NSD = re.compile(r"\] nsd\[\d+\]: (?:error|warning): (\S+?):(\d{1,9}): (.+)$", re.MULTILINE)
_NOT_PYTHON = ("SyntaxError:", "IndentationError:", "TabError:")
_NOT_TEXT = re.compile(r"SyntaxError: Non-UTF-8 .* in file /work/([^/ ]+) on line (\d+)")
_LONGEST_LINES = 5
"""Of such an error, which has no traceback: the file, the line, a mark, and what is wrong."""


def refused(scenarios: Path, files: Mapping[str, bytes]) -> list[str]:
    """Lines of routers' configurations that FRR rejected, by file and line.

    Args:
        scenarios: folder of a submission's scenarios.
        files: the files as handed in, by name.
    """
    found: dict[str, None] = {}
    for folder in sorted(scenarios.glob("*")):
        configs = _said_in(folder / CONFIGS)
        places = {name: _Places(files.get(name, b"")) for name in set(configs.values())}
        for log in sorted((folder / "logs").glob("*.log")):
            router, _, daemon = log.stem.rpartition("-")
            if daemon in frr.KINDS and router in configs:
                name = configs[router]
                for line, why in frr.misunderstood(_tail(log)):
                    place = places[name].of(line)
                    found[f"{name}: {place}FRR: {why}: '{shown(line)}'; it was left out"] = None
    return list(found)[:_MOST]


class _Places:
    """Line numbers in a file; a repeated line is found each time."""

    def __init__(self, data: bytes) -> None:
        text = data.decode("utf-8", errors="replace")
        self._lines = [" ".join(line.split()) for line in text.splitlines()]
        self._met: Counter[str] = Counter()

    def of(self, line: str) -> str:
        wanted = " ".join(line.split())
        numbers = [n for n, there in enumerate(self._lines, 1) if there == wanted]
        self._met[wanted] += 1
        return f"line {numbers[min(self._met[wanted], len(numbers)) - 1]}: " if numbers else ""


def _said_in(path: Path) -> dict[str, str]:
    """What the submission's start noted in a file; nothing if no such daemon was started."""
    try:
        return dict(read_json(path))
    except TestbedError:
        return {}


def services_said(scenarios: Path) -> list[str]:
    """Errors that dnsmasq and NSD found in a student's options and zones, by file and line.

    Args:
        scenarios: folder of a submission's scenarios.
    """
    found: dict[str, None] = {}
    for folder in sorted(scenarios.glob("*")):
        rendered = _said_in(folder / RENDERED)
        for log in sorted((folder / "logs").glob("*.log")):
            node, _, daemon = log.stem.rpartition("-")
            for words, file, line in _places(daemon, _tail(log)):
                if name := rendered.get(f"{node}/{file}"):
                    found[f"{name}: line {line}: {daemon}: {shown(words)}"] = None
    return list(found)[:_MOST]


def _places(daemon: str, text: str) -> Iterator[tuple[str, str, int]]:
    """What a daemon's log says about lines of its files: (words, file, line)."""
    if daemon == "dnsmasq":
        for words, line, path in _DNSMASQ.findall(text):
            yield words, Path(path).name, int(line)
    elif daemon == "nsd":
        for path, line, words in _NSD.findall(text):
            yield words, Path(path).name, int(line)


def nginx_said(scenarios: Path, sites: Mapping[str, bytes]) -> list[str]:
    """Errors and warnings of nginx, by file and line of the student's configuration.

    nginx does not say where a file or a list of ciphers is named that it cannot use, but it quotes
    the name: then the first line with it is given.

    Args:
        scenarios: folder of a submission's scenarios.
        sites: the configurations, by name.
    """
    found: dict[str, None] = {}
    for log in sorted(scenarios.glob(f"*/logs/{web_server.LOG}.log")):
        for level, words in _NGINX.findall(_tail(log)):
            at = _NGINX_PLACE.fullmatch(words)
            if at and at[2] in sites:
                found[f"{at[2]}: line {int(at[3])}: nginx: {shown(at[1])}"] = None
            elif not at and level == "emerg":  # warnings without a place are about the machine
                place = next(_quoted_places(words, sites), "")
                found[f"{place}nginx: {shown(words)}"] = None
    return list(found)[:_MOST]


def _quoted_places(words: str, sites: Mapping[str, bytes]) -> Iterator[str]:
    """Where a site's configuration has what is quoted in a message."""
    for quoted in re.findall(r'"([^"]+)"', words):
        for name, data in sites.items():
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
                if quoted in line.partition("#")[0]:
                    yield f"{name}: line {number}: "


def raised(scenarios: Path, names: Mapping[str, str]) -> list[str]:
    """Errors that students' programs raised (even if caught): file, line, the error's last line.

    Args:
        scenarios: folder of a submission's scenarios.
        names: the submission's files, name → kind.
    """
    found: Counter[str] = Counter()
    for log in sorted(scenarios.glob("*/logs/*.log")):
        for name, line, words in _traces(_tail(log)):
            if names.get(name) in ("app", "program"):
                found[f"{name}: line {line}: {shown(words)}"] += 1
    times = {line: f" ({count} times)" if count > 1 else "" for line, count in found.items()}
    return [f"{line}{times[line]}" for line in list(found)[:_MOST]]


def _traces(text: str) -> Iterator[tuple[str, int, str]]:
    """Tracebacks: file and line of the innermost frame in the student's code, and what was raised.

    Exceptions raised while handling another count separately. A file that is not Python at all has
    no traceback: Python names the file and the line, and then the error.
    """
    inside, frame, left = False, ("", 0), 0
    for line in text.splitlines():
        match = _FRAME.match(line)
        if line.strip() == _TRACE:
            inside, frame = True, ("", 0)
        elif match and (inside or not match[3]):
            frame, left = (match[1], int(match[2][:9])), _LONGEST_LINES
        elif line and not line[0].isspace():
            if match := _NOT_TEXT.match(line):
                frame, left = (match[1], int(match[2][:9])), 1
            if frame[0] and (inside or (left > 0 and line.startswith(_NOT_PYTHON))):
                yield (*frame, line)
            inside, frame = False, ("", 0)
        left -= 1


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        return file.read().decode("utf-8", errors="replace")
