"""FRR configurations as text: split one router's file into the daemons' own, check it, load it.

A router's configuration is one ``frr.conf`` as any FRR lab has it, or a file for each daemon
(``zebra.conf``, ``ripd.conf``, ...). Handwritten ones are checked before anything starts: by
FRR's own checker, then against the topology (see `testbed.daemons.frr.lint`).

From FRR 10 on, mgmtd reads the configuration of several daemons in their place: see `managed`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from testbed.core.errors import ConfigError, MissingPrerequisiteError, nearest
from testbed.core.files import read_input

PROTOCOLS = {"rip": "ripd", "ripng": "ripngd", "ospf": "ospfd", "ospf6": "ospf6d"}
"""``router <word>`` → the daemon it needs."""

FILES = ("frr.conf", "zebra.conf", "ripd.conf", "ripngd.conf", "ospfd.conf", "ospf6d.conf")
"""Files that a router's folder may contain."""

_INTERFACE_LINES = {
    "ripd": re.compile(r"(no )?ip rip\b"),
    "ripngd": re.compile(r"(no )?ipv6 ripng\b"),
    "ospfd": re.compile(r"(no )?ip ospf\b"),
    "ospf6d": re.compile(r"(no )?ipv6 ospf6\b"),
}
_TOP_LINES = {
    "ripd": re.compile(r"(no )?(debug rip |key chain )"),
    "ripngd": re.compile(r"(no )?debug ripng "),
    "ospfd": re.compile(r"(no )?debug ospf "),
    "ospf6d": re.compile(r"(no )?debug ospf6 "),
    "staticd": re.compile(r"(no )?(ip|ipv6) route "),
    "zebra": re.compile(
        r"(no )?(debug zebra|ip forwarding|ipv6 forwarding|ip protocol|ipv6 protocol|router-id"
        r"|ip router-id|zebra )"
    ),
}
MANAGED = ("zebra", "ripd", "ripngd", "staticd")
"""Daemons whose configuration mgmtd reads and passes on, in FRR 10."""

_ZEBRAS_OWN = re.compile(r"(no )?(debug zebra|ip forwarding|ipv6 forwarding|zebra (?!route-map ))")
"""What zebra still reads itself."""

_SHARED = re.compile(r"(no )?(hostname|password|enable|service|log|line|banner|domainname)\b")
_FILTERS = re.compile(
    r"(no )?((ip |ipv6 |mac )?access-list|ip(v6)? prefix-list|route-map|key|vrf|nexthop-group"
    r"|ip(v6)? nht|ip(v6)? import-table|allow-external-route-update|agentx|username|debug)\b"
)
_IGNORED = re.compile(r"(!|#|end$|exit$|frr (version|defaults) |service integrated-vtysh)|$")


@dataclass(frozen=True)
class Block:
    """A top-level line with the indented lines below it.

    Attributes:
        head: the top-level line.
        lines: the lines of its body, stripped.
        line: number of the head's line, from 1.
    """

    head: str
    lines: tuple[tuple[int, str], ...]
    line: int


@dataclass(frozen=True)
class Written:
    """A router's handwritten configuration.

    Attributes:
        files: file → its content, in reading order.
    """

    files: Mapping[Path, str]

    @property
    def text(self) -> str:
        """The whole manifest."""
        return "\n".join(self.files.values())

    def place(self, line: int) -> str:
        """``file:line`` of a line of `text`; the first file for line 0."""
        lines = [
            f"{file}:{number}"
            for file, text in self.files.items()
            for number, _ in enumerate((text + "\n").splitlines(), 1)
        ]
        return lines[line - 1] if line else str(next(iter(self.files)))


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a configuration, in order; comments and ``exit`` left out."""
    head, first, body = "", 0, list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if _IGNORED.match(stripped) or stripped.startswith("exit-"):
            continue
        if line[0].isspace() and head:
            body.append((number, stripped))
            continue
        if head:
            yield Block(head, tuple(body), first)
        head, first, body = stripped, number, []
    if head:
        yield Block(head, tuple(body), first)


def daemon_names(text: str) -> list[str]:
    """Daemons a configuration needs: zebra, then one for each protocol it has."""
    found = [b.head.split()[1] for b in blocks(text) if b.head.startswith("router ")]
    names = [daemon for word, daemon in PROTOCOLS.items() if word in found]
    statics = any(_TOP_LINES["staticd"].match(b.head) for b in blocks(text))
    return ["zebra", *names, *(["staticd"] * statics)]


def split(text: str) -> dict[str, str]:
    """A router's configuration as daemon → its part."""
    parts: dict[str, list[str]] = {name: [] for name in daemon_names(text)}
    for block in blocks(text):
        for daemon, lines in _shares(block, parts).items():
            parts[daemon] += _rendered(block, lines)
    return {daemon: "\n".join(lines) + "\n" for daemon, lines in parts.items()}


def managed(parts: Mapping[str, str]) -> dict[str, str]:
    """The same parts for FRR with mgmtd: its own contains those of `MANAGED`, which have none.

    Only zebra keeps the few lines that mgmtd does not know.
    """
    ours: dict[str, None] = {}
    zebra = []
    for daemon in MANAGED:
        for block in blocks(parts.get(daemon, "")):
            text = "\n".join(_rendered(block, [line for _, line in block.lines]))
            own = daemon == "zebra" and _ZEBRAS_OWN.match(block.head)
            if own or (daemon == "zebra" and _SHARED.match(block.head)):
                zebra.append(text)
            if not own:
                ours[text] = None  # lines that are for all occur once
    given = {daemon: part for daemon, part in parts.items() if daemon not in MANAGED}
    return {"mgmtd": _joined(ours), "zebra": _joined(zebra), **given}


def _joined(texts: Iterable[str]) -> str:
    return "".join(text + "\n" for text in texts)


def _rendered(block: Block, lines: Iterable[str]) -> list[str]:
    """A copy of a block with some of its lines."""
    return [block.head, *(f" {line}" for line in lines), *_exit(block)]


def _exit(block: Block) -> list[str]:
    return ["exit"] if block.head.split()[0] in ("interface", "router", "route-map", "key") else []


def _shares(block: Block, daemons: Collection[str]) -> dict[str, list[str]]:
    """Which daemons take a block, and which of its lines."""
    lines = [line for _, line in block.lines]
    words = block.head.split()
    if words[0] == "router":
        owner = PROTOCOLS.get(words[1] if len(words) > 1 else "")
        return {owner: lines} if owner in daemons and owner else {}
    if words[0] == "interface":
        shares: dict[str, list[str]] = {}
        for line in lines:
            match = [d for d, pattern in _INTERFACE_LINES.items() if pattern.match(line)]
            shares.setdefault(match[0] if match else "zebra", []).append(line)
        return {d: found for d, found in shares.items() if d in daemons}
    for daemon, pattern in _TOP_LINES.items():
        if pattern.match(block.head):
            return {daemon: lines} if daemon in daemons else {}
    if _SHARED.match(block.head):
        return dict.fromkeys(daemons, lines)
    return {d: lines for d in daemons if d != "staticd"}  # filters, route maps


def load_folder(folder: Path, routers: Collection[str]) -> dict[str, Written]:
    """Handwritten configurations: ``<folder>/<router>/frr.conf`` or a file for each daemon.

    Raises:
        ConfigError: no such folder, a folder without a router, a file without a daemon, or a router
            without a configuration; or what FRR's checker reports, with file and line.
    """
    if not folder.is_dir():
        raise ConfigError(f"--configs {folder}: no such folder")
    found: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        if path.name not in routers:
            raise ConfigError(
                f"{path}: no router '{path.name}' in this topology"
                f"{nearest(path.name, routers)}; its routers are {', '.join(routers)}"
            )
        found[path.name] = _files_of(path)
    missing = [router for router in routers if router not in found]
    if missing:
        raise ConfigError(
            f"{folder}: no configuration for {', '.join(missing)}; "
            f"write {folder.name}/{missing[0]}/frr.conf"
        )
    texts = {file: _text_of(file) for files in found.values() for file in files}
    check_syntax(texts)
    for file, text in texts.items():
        _check_blocks(file, text)
    return {
        router: Written({file: texts[file] for file in files}) for router, files in found.items()
    }


def _check_blocks(file: Path, text: str) -> None:
    """Refuse what FRR's checker accepts, but no daemon here would read."""
    above = ""
    for block in blocks(text):
        words = block.head.split()
        if words[0] == "router" and (len(words) < 2 or words[1] not in PROTOCOLS):
            raise ConfigError(
                f"{file}:{block.line}: '{block.head}': unknown protocol here; "
                f"known: router {', '.join(PROTOCOLS)}"
            )
        if words[0] in ("router", "interface"):
            above = block.head
        elif above and not block.lines and not _is_top_level(block.head):
            raise ConfigError(
                f"{file}:{block.line}: '{block.head}' is not indented; "
                f"indent it by a space if it belongs to '{above}'"
            )


def _is_top_level(line: str) -> bool:
    known = (*_TOP_LINES.values(), _SHARED, _FILTERS)
    return any(pattern.match(line) for pattern in known)


def _files_of(path: Path) -> list[Path]:
    """A router's configuration files."""
    files = []
    for file in sorted(path.iterdir()):
        if file.name in ("daemons", "vtysh.conf") or file.name.startswith("."):
            continue  # of a system-wide FRR; here the configuration says which daemons run
        if file.name not in FILES:
            raise ConfigError(
                f"{file}: is not a configuration file of FRR{nearest(file.name, FILES)}; "
                f"allowed: {', '.join(FILES)}"
            )
        files.append(file)
    if not files:
        raise ConfigError(f"{path}: is empty; write {path.name}/frr.conf")
    return files


def _checker() -> tuple[list[str], dict[str, str] | None]:
    """FRR's shell, the host's or else an image's, and its environment (None: ours)."""
    if shutil.which("vtysh") is not None:
        return ["vtysh"], None
    from testbed.machine.image import choice, native

    image, _ = choice.choose()
    if image is None:
        raise MissingPrerequisiteError("vtysh", "sudo apt-get install frr")
    return native.argv(image.root, "usr/bin/vtysh"), native.environment(image.root)


def _text_of(file: Path) -> str:
    """The text of a configuration file, checked for broken content."""
    try:
        text = read_input(file).decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: is not UTF-8 text; save it as UTF-8") from None
    if next(blocks(text), None) is None:
        raise ConfigError(f"{file}: configures nothing; write 'router ospf' or remove it")
    return text


def check_syntax(texts: Mapping[Path, str]) -> None:
    """Makes FRR's own checker read all files at once; it needs no privilege and starts nothing.

    Its exit code reflects only the last line, so its output is parsed.

    Args:
        texts: file → its content.

    Raises:
        MissingPrerequisiteError: FRR is not installed.
        ConfigError: the first line it does not understand: file, line, text and reason.
    """
    checker, environment = _checker()
    places: list[tuple[Path, int]] = []
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as whole:
        for file, text in texts.items():
            lines = text.splitlines()
            places += [(file, number) for number in range(1, len(lines) + 1)]
            whole.writelines(line + "\n" for line in lines)
        whole.flush()
        argv = [*checker, "-C", "-f", whole.name]
        done = subprocess.run(
            argv, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
    said = done.stdout + done.stderr
    match = re.search(r"^line (\d+): % (.*?)\s*(\[\d+\])?: *(.*)$", said, re.M)
    if match is None:
        if done.returncode == 0:
            return
        raise ConfigError(f"{next(iter(texts))}: FRR says: {said.strip()}")
    file, number = places[int(match[1]) - 1]
    raise ConfigError(f"{file}:{number}: FRR says: {match[2]}: {match[4].strip()}")
