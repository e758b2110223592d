"""HTTP/3 and QUIC: a server, and a client that does the jobs of an experiment, both on aioquic.

    made = certificates.make(net, "h2", [root, www])
    client = Http3Client(net, "h1", net.address("h2"), "www.example.org", made["root"].certificate)
    start(net, {"h2": [Http3Server(net, "h2", [Door(made["www"])])], "h1": [client]})
    client.do(paths=[["/a", "/b"]])         # one connection, both files at once

aioquic is a set of Python packages of its own, the extra ``quic``; guests see it in a folder of its
own. Both ends write their secrets to ``keys/`` and one qlog file per connection to ``qlog/<node>``.
nginx speaks HTTP/3 on Debian 13 alone, and has neither logs of that kind nor mistakes on demand.
See `testbed.programs.http3_server` and `testbed.programs.http3_client` for what they can do.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from testbed import guest_init, programs
from testbed.core.errors import ConvergenceError
from testbed.core.rundir import QLOG
from testbed.daemons.base import Daemon, Place, answers, listens
from testbed.daemons.certificates import Files, key_log

if TYPE_CHECKING:
    from testbed.author.actions import Action
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork

EXTRA = "quic"
"""What experiments name in `extras`."""

ANSWER_LIMIT_S = 90.0


class _Aioquic(Daemon):
    """A program that imports aioquic."""

    program: ClassVar[str] = "/usr/bin/python3"
    package: ClassVar[str] = "python3"
    also: ClassVar[Mapping[str, str]] = {
        "/usr/lib/python3/dist-packages/cryptography": "python3-cryptography",  # with cffi's part
    }
    environment: ClassVar[Mapping[str, str]] = {"PYTHONPATH": guest_init.QUIC}

    def start_up(self, name: str, *words: str) -> list[str]:
        """Not isolated, because the packages are found by the environment."""
        return [self.program, "-sP", programs.path(name), *words]


@dataclass(frozen=True)
class Door:
    """A port of the server.

    Attributes:
        made: its certificate.
        port: where it listens.
        retry: clients must prove their address first (RFC 9000 §8.1.2).
        address: of its node, where it listens; default: all, of which the first one answers.
    """

    made: Files
    port: int = 443
    retry: bool = False
    address: str = "0.0.0.0"


class Http3Server(_Aioquic):
    """Serves the files of ``/srv`` over HTTP/3; of a host's own folder there, if it has one.

    Args:
        net: the running network.
        node: where it will run.
        doors: its ports.
        flaws: mistakes that it makes on purpose, by the names in its own list.
        options: settings, as ``idle_s=10``.
    """

    name = "http3-server"

    def __init__(
        self,
        net: RunningNetwork,
        node: str,
        doors: Sequence[Door],
        flaws: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.doors = doors
        listed = [
            {
                "address": door.address,
                "port": door.port,
                "retry": door.retry,
                "certificate": str(door.made.chain),
                "key": str(door.made.key),
            }
            for door in doors
        ]
        self.words = [f"doors={json.dumps(listed)}", f"flaws={','.join(flaws)}", *options]
        self.words += [f"keys={key_log(net, f'{node}-http3')}", f"qlog={_qlog(net, node)}"]

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return self.start_up("http3_server", *self.words)

    def dry_run(self, place: Place) -> list[str]:
        """Its own check of settings and certificates, by this Python, which may have aioquic."""
        environment = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *environment, sys.executable, *self.argv(place)[1:], "check"]

    def ready(self, place: Place, process: Process) -> bool:
        """Once its ports are open."""
        return all(listens(process, door.port, "udp") for door in self.doors)


class Http3Client(_Aioquic):
    """Does one job after another: a connection each.

    Args:
        net: the running network.
        node: where it will run.
        address: of the server.
        server: its name, which its certificate has.
        root: the certificate that it trusts.
    """

    name = "http3-client"

    def __init__(
        self, net: RunningNetwork, node: str, address: str, server: str, root: Path
    ) -> None:
        self.door = net.state_folder(node) / "http3"
        keys = key_log(net, f"{node}-http3")
        self.words = [str(self.door), address, server, str(root), keys, _qlog(net, node)]

    def argv(self, place: Place) -> list[str]:
        """In the foreground."""
        return self.start_up("http3_client", *self.words)

    def ready(self, place: Place, process: Process) -> bool:
        """Once it takes jobs."""
        return answers(self.door)

    def begin(self, **job: Any) -> Callable[[], str]:
        """Gives it a job; returns what waits for the job's end and says how that was.

        The answer is ``done``, or the name of what went wrong.
        """
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.settimeout(ANSWER_LIMIT_S)
        door.connect(str(self.door))
        door.sendall(json.dumps(job).encode() + b"\n")

        def end() -> str:
            with door, door.makefile() as lines:
                try:
                    return lines.readline().strip()
                except TimeoutError:
                    what = f"end of the HTTP/3 client's job {job}"
                    raise ConvergenceError(what, ANSWER_LIMIT_S, "no answer") from None

        return end

    def do(self, **job: Any) -> Action:
        """A job from its begin to its end, as a step's action."""

        def act(net: RunningNetwork) -> None:
            self.begin(**job)()

        return act


def _qlog(net: RunningNetwork, node: str) -> str:
    folder = net.path / QLOG / node
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)
