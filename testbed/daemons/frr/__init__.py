"""FRR's daemons: zebra and the routing protocols, one process each in a router's namespace.

Each reads its own file, ``configs/<router>/<daemon>.conf``, made of the router's configuration by
`config.split`. They run in the foreground as FRR's own user, with sockets and PIDs in the router's
private folder; no system service is affected.

From FRR 10 on, mgmtd reads the configuration of zebra, ripd, ripngd and staticd, and passes it on.
The paths of its file and sockets are fixed, so it sees the router's folders in place of the
system's: a router then runs one more daemon, and everything else is as before.
"""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from testbed.core.errors import CommandError, ConfigError
from testbed.daemons import base
from testbed.daemons.frr import config as frr_config

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork
    from testbed.daemons.base import Place, Running

FOLDER = "/usr/lib/frr"
MGMTD = f"{FOLDER}/mgmtd"
_CONFIGS_VIEW, _STATE_VIEWS = "/etc/frr", ("/run/frr", "/var/lib/frr")
_ASK_TIMEOUT_S = 20.0
_REFUSED = re.compile(r"(?:\] |^)([^\]\n]+) on config line \d+: *(.*)", re.MULTILINE)
_FEWER_CALLS = "no service cputime-stats\n"
"""CPU time per event is not needed; measuring it costs two system calls per event."""
_ONE_HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_TOP_PAD_": str(1 << 20)}
"""One heap for all threads, grown by megabytes: fewer pages and fewer system calls."""
_FEW_FILES = "256"
"""Assumed number of open files: a daemon's tables grow with it, and ours have few interfaces."""


class FrrDaemon(base.Daemon):
    """One of FRR's daemons with its configuration.

    Attributes:
        config: text of its file; None: mgmtd has it.
        managed: mgmtd configures it, in addition to its file or instead.
    """

    package = "frr"
    owner = "frr"
    needs: ClassVar[tuple[str, ...]] = ("zebra",)
    stop_signal = signal.SIGKILL  # nothing to save, and a goodbye would be noise in the captures
    environment: ClassVar[Mapping[str, str]] = _ONE_HEAP
    timer_slack_ns: ClassVar[int] = 1_000_000
    """FRR waits for whole milliseconds, rounded down, then polls the time until the rest has
    passed: a fifth of all system calls of a grid of 49 routers, and of its CPU time."""
    log_level: ClassVar[str] = "notifications"

    def __init__(self, config: str | None, *, managed: bool = False) -> None:
        self.config, self.managed = config, managed

    def files(self, place: Place) -> dict[str, str]:
        """Its own configuration file."""
        return {} if self.config is None else {f"{self.name}.conf": self.config + _FEWER_CALLS}

    def argv(self, place: Place) -> list[str]:
        """In the foreground, everything private, no TCP port, log to standard output."""
        return [
            self.program,
            *self._which_file(place),
            "--vty_socket",
            str(place.state),
            "-z",
            f"{place.state}/zserv.api",
            "-i",
            f"{place.state}/{self.name}.pid",
            "-P",
            "0",
            "--log",
            "stdout",
            "--log-level",
            self.log_level,
            "--limit-fds",
            _FEW_FILES,
        ]

    def _which_file(self, place: Place) -> list[str]:
        return [] if self.config is None else ["-f", f"{place.configs}/{self.name}.conf"]

    def ready(self, place: Place, process: Process) -> bool:
        """True once its command socket answers, and mgmtd has configured it."""
        if not base.answers(vty_path(place, self.name)):
            return False
        return not self.managed or is_configured(
            self.name,
            ask(place, Mgmtd.name, "show mgmt backend-adapter all"),
            ask(place, Mgmtd.name, "show mgmt transaction all"),
        )

    def dry_run(self, place: Place) -> list[str] | None:
        """FRR's own checker; unlike the daemon's it needs no privilege."""
        file = next(iter(self.files(place)), None)
        return ["vtysh", "-C", "-f", f"{place.configs}/{file}"] if file else None


class Mgmtd(FrrDaemon):
    """Reads the configuration of other daemons and passes it on (FRR 10)."""

    name, program, needs = "mgmtd", MGMTD, ()
    log_level = "informational"

    def files(self, place: Place) -> dict[str, str]:
        """What it finds in its view of ``/etc/frr``; vtysh looks there as well."""
        return {"mgmtd/mgmtd.conf": (self.config or "") + _FEWER_CALLS, "mgmtd/vtysh.conf": ""}

    def _which_file(self, place: Place) -> list[str]:
        return []  # it uses its fixed path

    def folders(self, place: Place) -> dict[str, Path]:
        """The system's folders are the router's own: FRR 10's programs use fixed paths."""
        return {_CONFIGS_VIEW: place.configs / "mgmtd", **dict.fromkeys(_STATE_VIEWS, place.state)}

    def ready(self, place: Place, process: Process) -> bool:
        """True once it has read its file: then it configures those that connect."""
        return "finished reading config files" in process.output() and super().ready(place, process)


class Zebra(FrrDaemon):
    """Puts routes into the kernel and tells protocols about interfaces."""

    name, program, needs = "zebra", f"{FOLDER}/zebra", ("mgmtd",)

    def ready(self, place: Place, process: Process) -> bool:
        """True once protocols can connect as well."""
        return super().ready(place, process) and (place.state / "zserv.api").exists()


class Ripd(FrrDaemon):
    """RIP versions 1 and 2 (RFC 2453)."""

    name, program = "ripd", f"{FOLDER}/ripd"


class Ripngd(FrrDaemon):
    """RIPng (RFC 2080)."""

    name, program = "ripngd", f"{FOLDER}/ripngd"


class Ospfd(FrrDaemon):
    """OSPF version 2 (RFC 2328)."""

    name, program = "ospfd", f"{FOLDER}/ospfd"


class Ospf6d(FrrDaemon):
    """OSPF version 3 (RFC 5340)."""

    name, program = "ospf6d", f"{FOLDER}/ospf6d"


class Staticd(FrrDaemon):
    """Static routes."""

    name, program = "staticd", f"{FOLDER}/staticd"


class Isisd(FrrDaemon):
    """IS-IS (ISO/IEC 10589, RFC 1195)."""

    name, program = "isisd", f"{FOLDER}/isisd"


class Bfdd(FrrDaemon):
    """Bidirectional forwarding detection (RFC 5880), for the protocols that ask for it."""

    name, program = "bfdd", f"{FOLDER}/bfdd"

    def argv(self, place: Place) -> list[str]:
        """Its control socket is the router's own as well."""
        return [*super().argv(place), "--bfdctl", f"{place.state}/bfdd.sock"]


class Bgpd(FrrDaemon):
    """BGP version 4 (RFC 4271)."""

    name, program = "bgpd", f"{FOLDER}/bgpd"
    needs = ("zebra", "bfdd")


_KINDS: tuple[type[FrrDaemon], ...] = (
    Mgmtd,
    Zebra,
    Bfdd,
    Ripd,
    Ripngd,
    Ospfd,
    Ospf6d,
    Isisd,
    Bgpd,
    Staticd,
)
KINDS: dict[str, type[FrrDaemon]] = {kind.name: kind for kind in _KINDS}
"""In the order of their start."""


PROGRAMS = tuple(kind.program for kind in KINDS.values() if kind is not Mgmtd)
"""For an experiment's `programs`, so that their absence is reported at once."""


def daemons_of(config: str, *, with_mgmtd: bool | None = None) -> list[FrrDaemon]:
    """The daemons that a router's configuration needs, zebra always, each with its part.

    Args:
        config: the router's.
        with_mgmtd: as FRR 10 needs it; default: if FRR has it.
    """
    needed = frr_config.split(config)
    if with_mgmtd is None:
        with_mgmtd = Path(MGMTD).exists()
    parts = frr_config.managed(needed) if with_mgmtd else needed
    return [
        kind(parts.get(name), managed=with_mgmtd and name in frr_config.MANAGED)
        for name, kind in KINDS.items()
        if name in needed or name in parts
    ]


def start(net: RunningNetwork, configs: Mapping[str, str]) -> dict[tuple[str, str], Running]:
    """Starts FRR in all routers in parallel; returns when every daemon answers.

    Args:
        net: the running network.
        configs: router → its configuration; each daemon's part is kept in the run directory.

    Raises:
        ConfigError: a configuration for a router that is not in the network.
    """
    for router in configs:
        if router not in net.network:
            raise ConfigError(f"configuration of '{router}': no such router in this topology")
    net.event("daemons-start")
    running = base.start(net, {router: daemons_of(text) for router, text in configs.items()})
    net.event("daemons-ready")
    return running


def is_configured(daemon: str, adapters: str, transactions: str) -> bool:
    """True if mgmtd has fully configured a daemon; it begins some time after the daemon connects.

    Until then zebra knows no bandwidths, and a protocol that asks it uses wrong costs.

    Args:
        daemon: its name.
        adapters: mgmtd's answer to ``show mgmt backend-adapter all``.
        transactions: its answer to ``show mgmt transaction all``.
    """
    sent = re.search(rf"Client:\s+{daemon}\n.*?Msg-Sent:\s+(\d+)", adapters, re.DOTALL)
    greeted_only = sent is None or int(sent[1]) <= 1
    return not greeted_only and re.search(r"Total: 0\b", transactions) is not None


def misunderstood(log: str) -> list[tuple[str, str]]:
    """Lines of its configuration that a daemon rejected, and why, from its log."""
    return [(match[2].strip(), match[1].strip()) for match in _REFUSED.finditer(log)]


def vty_path(place: Place, daemon: str) -> Path:
    """The socket on which a daemon takes commands."""
    return place.state / f"{daemon}.vty"


def vtysh_argv(place: Place, *commands: str) -> list[str]:
    """FRR's shell on a router: run it in the router's node; without commands it is interactive."""
    argv = ["vtysh", "--vty_socket", str(place.state)]
    return argv + [word for command in commands for word in ("-c", command)]


def ask(place: Place, daemon: str, *commands: str) -> str:
    """Output of commands given to a daemon, as vtysh gives them: without starting a program.

    Raises:
        CommandError: the daemon refused one.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as vty:
        vty.settimeout(_ASK_TIMEOUT_S)
        vty.connect(str(vty_path(place, daemon)))
        _say(vty, place.node, daemon, "enable")
        return "".join(_say(vty, place.node, daemon, command) for command in commands)


def _say(vty: socket.socket, node: str, daemon: str, command: str) -> str:
    """One command; the answer ends with three zero bytes and the status."""
    vty.sendall(command.encode() + b"\0")
    data = bytearray()
    while not (len(data) >= 4 and data[-4:-1] == b"\0\0\0"):
        piece = vty.recv(1 << 16)
        if not piece:
            raise CommandError(node, [daemon, command], -1, "", "the daemon closed the connection")
        data += piece
    answer, status = data[:-4].decode(errors="replace"), data[-1]
    if status not in (0, 3):  # success, and the status of a command without output
        raise CommandError(node, [daemon, command], status, "", answer or "refused")
    return answer


def save(
    net: RunningNetwork,
    running: Mapping[tuple[str, str], Running],
    label: str,
    questions: Iterable[str],
) -> None:
    """Saves what daemons answer now, as ``states/<label>/<router>.<daemon>.<number>.txt``.

    Args:
        net: the running network.
        running: as `start` returned it.
        label: name of this moment.
        questions: ``<daemon>: <command>``; sent to every router that runs the daemon.
    """
    folder = net.path / "states" / label
    folder.mkdir(parents=True, exist_ok=True)
    net.event("state", label=label)
    for number, question in enumerate(questions):
        wanted, command = question.split(": ", 1)
        for (router, daemon), found in running.items():
            if daemon == wanted:
                answer = ask(found.place, daemon, command)
                (folder / f"{router}.{daemon}.{number}.txt").write_text(answer, encoding="utf-8")
