"""`testbed shell`: a running topology with Mininet's command line, on either runtime.

If the standard input is not a terminal, its lines are a script for Mininet's command line.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from testbed.author import named_topologies, routing
from testbed.core.errors import ConfigError
from testbed.core.files import make_folder, write_text
from testbed.core.rundir import write_json
from testbed.daemons.frr import generate as frr_generate
from testbed.execution import terminal
from testbed.execution.inside_shell import REQUEST, SCRIPT
from testbed.execution.runtime import Outcome, choose
from testbed.net.check import check_topology, default_learns, loop_without_stp, loop_words
from testbed.net.plan import make_plan

_WALL_LIMIT_S = 7 * 86400.0


@dataclass(frozen=True)
class Session:
    """What to start.

    Attributes:
        topology: as `named_topologies.load` takes it.
        runtime: ``auto``, ``guest`` or ``host``; the clock is real.
        routing: ``static``, or None for routers that know only their own networks.
        configs: FRR on every router: ``rip`` or ``ospf`` makes the configurations, anything else
            is a folder with a ``frr.conf`` for each; empty: no FRR.
        captures: interfaces to capture at, into the folder.
        memory_mb: of a guest.
        image: see `choice.choose`.
    """

    topology: str
    runtime: str = "auto"
    routing: str | None = "static"
    configs: str = ""
    captures: tuple[str, ...] = ()
    memory_mb: int = 1024
    image: str = ""


def run(session: Session, folder: Path) -> Outcome:
    """Runs a session until the user leaves it; captures stay in `folder`.

    Raises:
        ConfigError: the topology or an interface does not exist; nothing was started.
    """
    files = _configurations(session)
    runtime = choose(session.runtime, clock="real", image=session.image)
    make_folder(folder, what="--out")
    request = {
        "topology": _lend_files(session.topology, folder),
        "routing": session.routing,
        "captures": list(session.captures),
        "runtime": runtime.name,
    }
    write_json(folder / REQUEST, request)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
    if not sys.stdin.isatty():
        write_text(folder / SCRIPT, sys.stdin.read())
    with terminal.attached() as theirs:
        return runtime.run(
            folder,
            seed=0,
            memory_mb=session.memory_mb,
            wall_limit_s=_WALL_LIMIT_S,
            module="testbed.execution.inside_shell",
            terminal=theirs,
        )


def _lend_files(topology: str, folder: Path) -> str:
    """The topology's name inside, where only `folder` of the user's files is visible."""
    name, *words = topology.split(",")
    file, choice = named_topologies.path_and_choice(name)
    if file.endswith(".py"):
        name = _lent(file, folder) + (f":{choice}" if choice else "")
    for place, word in enumerate(words):
        key, equals, value = word.rpartition("=")
        if Path(value.strip()).is_file():
            words[place] = f"{key}{equals}{_lent(value.strip(), folder)}"
    return ",".join([name, *words])


def _lent(file: str, folder: Path) -> str:
    """Copies a file of the user's to where it is seen; returns its name there."""
    shutil.copyfile(file, folder / Path(file).name)
    return Path(file).name


def _configurations(session: Session) -> dict[str, str]:
    """FRR configurations as file → text; checked, before anything starts."""
    topo = named_topologies.load(session.topology)
    check_topology(topo)
    if loop := loop_without_stp(topo, default_learns(topo)):
        raise ConfigError(loop_words(loop))
    make_plan(topo)
    if not session.configs:
        return {}
    made: dict[str, routing.Generate] = {
        "rip": lambda plan, router: frr_generate.rip(plan, router, frr_generate.Rip()),
        "ospf": lambda plan, router: frr_generate.ospf(plan, router, frr_generate.Ospf()),
    }
    generate = made.get(session.configs, made["rip"])
    folder = "" if session.configs in made else session.configs
    return routing.config_files(topo, generate, folder)
