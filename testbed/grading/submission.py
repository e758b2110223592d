"""An accepted submission: a folder with the files a lab takes, and nothing else.

The grader made the folder (see `testbed.grading.accept`): names are the manifest's, configurations
went through their lists. The same object is used in the guest, where it starts things, and outside,
where checks read it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.core.errors import (
    CommandError,
    ConfigError,
    ConvergenceError,
    ExitCode,
    ParseError,
    TestbedError,
)
from testbed.core.rundir import read_json, write_json
from testbed.grading.answers import shown

if TYPE_CHECKING:
    from testbed.author.process import Process
    from testbed.author.running_network import RunningNetwork
    from testbed.author.topo import Topo
    from testbed.daemons.base import Running
    from testbed.daemons.controller import ControlledNetwork
    from testbed.results.data import ScenarioData

FOLDER = "submission"
"""Folder of the files, in a scenario's folder."""

CONFIGS = "configs.json"
"""In a scenario's folder: router → the file that it was started with."""

RENDERED = "rendered.json"
"""In a scenario's folder: node/file below ``configs`` → the student's file with the same lines."""

HANDED = "handed.json"
"""Next to that folder: kinds of the files, and what was read from some of them."""


class SubmissionError(TestbedError):
    """The submission does not let the network run: its checks FAIL, for this reason."""

    exit_code = ExitCode.CLAIM_FAILED


_MOST_WORDS = 1000
"""Number of characters of a student's program's output that a verdict quotes."""


@contextmanager
def blamed(what: str) -> Iterator[None]:
    """In the block, any failure, timeout or unreadable file is blamed on the submission."""
    try:
        yield
    except CommandError as error:  # without the line that started it: the sandbox's is long
        words = shown(error.last, _MOST_WORDS)
        raise SubmissionError(f"{what}: {_ending(error.returncode)}: {words}") from error
    except (ConvergenceError, ConfigError, ParseError) as error:
        raise SubmissionError(f"{what}: {shown(error, _MOST_WORDS)}") from error


def _ending(code: int) -> str:
    """How a program ended. Shells and bubblewrap report 128 + the signal that killed it."""
    number = -code if code < 0 else code - 128
    if number not in signal.valid_signals():
        return f"ended with {code}"
    name = signal.Signals(number).name
    why = ", as when it needs more memory than allowed" * (number == signal.SIGKILL)
    return f"was killed by {name}{why}"


def _add(path: Path, more: Mapping[str, str]) -> None:
    """Adds entries to a JSON file."""
    write_json(path, {**(read_json(path) if path.is_file() else {}), **more})


class Submission:
    """The accepted files of one student."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _handed(self) -> Mapping[str, Any]:
        path = self.folder.parent / HANDED
        return dict(read_json(path)) if path.is_file() else {}

    @property
    def answers(self) -> Mapping[str, Any]:
        """What the file of kind ``answers`` says."""
        return dict(self._handed().get("answers", {}))

    def names(self) -> list[str]:
        """Names of the files that were handed in and accepted."""
        return sorted(self._handed().get("kinds", {}))

    def has(self, name: str) -> bool:
        """True if the file was handed in and accepted."""
        return name in self.names()

    def path(self, name: str) -> Path:
        """Where the file is."""
        return self.folder / name

    def text(self, name: str) -> str:
        """A file's text; empty if it was not handed in."""
        if not self.has(name):
            return ""
        return self.path(name).read_text(encoding="utf-8", errors="replace")

    # ---- in the guest

    def start_frr(
        self, net: RunningNetwork, configs: Mapping[str, str]
    ) -> dict[tuple[str, str], Running]:
        """Starts FRR in routers with the student's files, router → file.

        Raises:
            SubmissionError: a daemon does not start with them.
        """
        from testbed.daemons import frr

        _add(net.path / CONFIGS, configs)
        with blamed("FRR"):
            return frr.start(net, {router: self.text(name) for router, name in configs.items()})

    def start_dnsmasq(
        self, net: RunningNetwork, configs: Mapping[str, str]
    ) -> dict[tuple[str, str], Running]:
        """Starts dnsmasq in nodes with the student's options, node → file."""
        from testbed.daemons import base
        from testbed.daemons.dnsmasq import CONFIG, Dnsmasq

        _add(net.path / RENDERED, {f"{node}/{CONFIG}": name for node, name in configs.items()})
        with blamed("dnsmasq"):
            return base.start(
                net,
                {node: [Dnsmasq(self.text(name).splitlines())] for node, name in configs.items()},
            )

    def start_nsd(
        self, net: RunningNetwork, node: str, zones: Mapping[str, str]
    ) -> dict[tuple[str, str], Running]:
        """Starts NSD in a node with the student's zones, zone → file."""
        from testbed.daemons import base
        from testbed.daemons.nsd import Nsd, zone_file

        _add(net.path / RENDERED, {f"{node}/{zone_file(z)}": name for z, name in zones.items()})
        with blamed("NSD"):
            return base.start(
                net, {node: [Nsd({zone: self.text(name) for zone, name in zones.items()})]}
            )

    def start_program(
        self,
        net: RunningNetwork,
        node: str,
        command: Sequence[str],
        *,
        log: str,
        shown: Mapping[str, str] | None = None,
        errors_apart: bool = False,
        network: bool = True,
    ) -> Process:
        """Starts a program of the student's in a node, in the sandbox.

        Args:
            net: the running network.
            node: where.
            command: such as ``["python3", "sender.py", "10.0.0.2"]``; it begins in the folder of
                the submission's files, and may write to ``/out``.
            log: name of its log, and of its folder under ``out/``; must be unique.
            shown: what this program alone may read, as path in the sandbox → path outside.
            errors_apart: standard error goes to a log of its own, ``<log>-errors``, so that the
                log has nothing but what the program answers.
            network: False: the program has no network, not even the node's.
        """
        from testbed.grading import sandbox

        return sandbox.start(
            net,
            node,
            command,
            self.folder,
            log,
            shown=shown,
            errors_apart=errors_apart,
            network=network,
        )

    def start_app(
        self, net: RunningNetwork, name: str, settings: Mapping[str, Any] | None = None
    ) -> ControlledNetwork:
        """Starts a student's controller app in the sandbox; all switches connect to it.

        Raises:
            SubmissionError: it exits, or does not answer the switches.
        """
        from testbed.grading import app

        with blamed(name):
            return app.start(net, self.folder, self.path(name), settings or {})

    def start_nginx(
        self,
        net: RunningNetwork,
        node: str,
        site: str,
        *,
        script: str = "",
        given: Path | None = None,
    ) -> None:
        """Runs the student's script, which installs files, then nginx with the student's site.

        Both run in the sandbox as one user and see the same ``/out``.

        Args:
            net: the running network.
            node: where.
            site: name of the file with nginx's ``server`` blocks.
            script: name of the shell script; empty if nothing is to be installed.
            given: a folder that the script alone may read, as ``/given``.

        Raises:
            SubmissionError: the script fails, or nginx does not start.
        """
        from testbed.grading import web_server

        if script and given:
            with blamed(script):
                web_server.install(net, node, self.folder, script, given)
        with blamed("nginx"):
            web_server.start(net, node, self.folder, site)

    def private_keys(self) -> dict[str, int]:
        """Path below ``/out`` → mode of the private keys that the script installed."""
        from testbed.grading import web_server

        return web_server.private_keys()

    # ---- outside

    def topo(self, name: str) -> Topo:
        """The topology that a file of kind ``topology`` described, built only from data.

        Raises:
            SubmissionError: it described none.
            MissingDataError: unknown, because the grader could not evaluate it.
        """
        from testbed.core.claims import MissingDataError
        from testbed.grading.graphs import DataTopo

        if why := self._handed().get("unevaluated", {}).get(name):
            raise MissingDataError(why)
        found = self._handed().get("topologies", {}).get(name)
        if found is None:
            raise SubmissionError(f"{name}: describes no topology")
        return DataTopo(found)

    @contextmanager
    def reading(self, name: str, scenario: str = "main") -> Iterator[ScenarioData]:
        """A scenario of the run directory handed in as the folder `name`.

        Files can be forged, so a check compares them with the grader's own run. In the block, any
        unreadable file is blamed on the submission.

        Raises:
            SubmissionError: it was not handed in, or cannot be read.
        """
        from testbed.core.claims import MissingDataError
        from testbed.results.data import ScenarioData

        folder = self.path(name) / "scenarios" / scenario
        if not folder.is_dir():
            raise SubmissionError(f"{name}: has no scenario '{scenario}'")
        try:
            yield ScenarioData(scenario, folder, None)
        except SubmissionError:
            raise
        except (
            TestbedError,
            MissingDataError,
            ArithmeticError,
            AttributeError,
            LookupError,
            OSError,
            RecursionError,
            TypeError,
            ValueError,
        ) as error:
            raise SubmissionError(f"{name}: cannot be read: {shown(error)}") from error
