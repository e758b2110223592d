"""Topologies by name: ``dumbbell``, ``tree,2,8`` or ``grid,n=3``; a file's path may replace the
name, with ``:NAME`` behind it where the file has several: ``mine.py:small,3``.

The words after the name are arguments of the topology's `build`, as in Mininet's ``--topo``.
"""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

from testbed.author import imports
from testbed.author.experiment import import_file
from testbed.author.topo import Bounded, build_arguments, builder, refuse_unknown
from testbed.core.errors import ConfigError, last_line, nearest
from testbed.core.project import PROJECT

TOPOLOGIES = PROJECT / "topologies"


def topology_files(folder: Path = TOPOLOGIES) -> dict[str, Path]:
    """Topologies by name: every file of the folder that defines one."""
    files = {p.stem: p for p in sorted(folder.glob("*.py")) if not p.stem.startswith("_")}
    return {n: p for n, p in files.items() if "\ntopos = " in p.read_text(encoding="utf-8")}


def load(text: str) -> Any:
    """Builds the topology that `text` names.

    Raises:
        ConfigError: no such topology, or arguments its `build` does not take.
    """
    name, *words = [word.strip() for word in text.split(",")]
    cls = topology_class(name)
    positional = [_value(word) for word in words if "=" not in word]
    named = {k: _value(v) for k, v in (word.split("=", 1) for word in words if "=" in word)}
    known = build_arguments(cls)
    refuse_unknown(f"'{name}'", known, named)
    if len(positional) > len(known):
        raise ConfigError(f"topology '{name}': takes {len(known)} values, not {len(positional)}")
    try:
        topo = (_bounded(cls) if isinstance(cls, type) else cls)(*positional, **named)
    except ConfigError as error:
        raise ConfigError(f"{_line_of(cls, error)}{error}") from error
    except Exception as error:
        where = _line_of(cls, error) or f"topology '{text}': "
        raise ConfigError(f"{where}{type(error).__name__}: {error}") from error
    require_nodes(topo, inspect.getfile(cls), f"topos of '{name}'")
    return topo


def _bounded(cls: Any) -> Any:
    """The class, or where a file has one of Mininet's own, the same with our limits of size."""
    if issubclass(cls, Bounded):
        return cls
    return type(cls.__name__, (Bounded, cls), {"__module__": cls.__module__})


def _line_of(cls: Any, error: Exception) -> str:
    """The place in a topology's file where an error arose; our own errors already name it."""
    source = builder(cls).__code__.co_filename
    if Path(source).parent == TOPOLOGIES and isinstance(error, ConfigError):
        return ""
    line = last_line(source, error)
    return f"{source}, line {line}: " if line else ""


def require_nodes(topo: Any, source: str, giver: str = "topology()") -> None:
    """Refuses an empty topology, such as one whose `build` method is misnamed.

    Args:
        topo: the supposed topology.
        source: the file it came from.
        giver: what returned it.

    Raises:
        ConfigError: names the file, the class and what to write.
    """
    if not hasattr(topo, "nodes"):
        raise ConfigError(f"{source}: {giver} gives {topo!r}; it must return a Topo")
    if topo.nodes():
        return
    cls = type(topo)
    own = [n for n, v in vars(cls).items() if inspect.isfunction(v) and not n.startswith("_")]
    has = f"; it has {', '.join(f'{n}()' for n in own)}" if own and "build" not in own else ""
    raise ConfigError(
        f"{inspect.getfile(cls)}: topology {cls.__name__} has no nodes; add them in "
        f"a method build(){has}"
    )


def has_open_vswitch(topo: Any) -> bool:
    """True if one of its switches is an Open vSwitch."""
    found = (topo.nodeInfo(name) for name in topo.switches())
    return any("OVS" in getattr(info.get("cls"), "__name__", "") for info in found)


def topology_class(name: str) -> Any:
    """The entry of a file's ``topos``, a class or a function that returns a topology.

    Args:
        name: that of a file of the project, or a path, with ``:NAME`` to choose among several.
    """
    file, choice = path_and_choice(name)
    known = topology_files()
    path = Path(file) if file.endswith(".py") else known.get(file)
    if path is None or not path.is_file():
        raise ConfigError(
            f"topology '{name}': unknown{nearest(name, known)}; known: {', '.join(known)}"
        )
    imports.refuse_network(path)
    offered = getattr(import_file(f"topologies.{path.stem}", path), "topos", {})
    if not isinstance(offered, dict) or not offered:
        raise ConfigError(f'{path}: needs an entry in topos = {{"{path.stem}": Class}}')
    if not choice and len(offered) > 1:
        names = ", ".join(f"{file}:{each}" for each in offered)
        raise ConfigError(f"{path}: has {len(offered)} topologies; choose one: {names}")
    if choice and choice not in offered:
        raise ConfigError(
            f"{path}: has no topology '{choice}'{nearest(choice, offered)}; "
            f"it has: {', '.join(offered)}"
        )
    found = offered[choice] if choice else next(iter(offered.values()))
    if isinstance(found, partial) or not callable(found):
        raise ConfigError(f"{path}: topos must have classes or functions, not {found!r}")
    return found


def path_and_choice(name: str) -> tuple[str, str]:
    """``mine.py:small`` as the file and the topology in it; empty where none is named."""
    file, colon, choice = name.rpartition(":")
    return (file, choice) if colon and file.endswith(".py") else (name, "")


def plan_rows(topo: Any) -> list[dict[str, Any]]:
    """Interfaces with their planned addresses; nothing is built."""
    from testbed.net.plan import make_plan, number_as_mininet

    plan = make_plan(topo)
    if not plan.routers:
        number_as_mininet(plan, topo)
    peers = {(p.link, p.side): p.name for ports in plan.ports.values() for p in ports}
    return [
        {
            "node": port.node,
            "interface": port.name,
            "peer": peers[port.link, 3 - port.side],
            "ipv4": str(port.ipv4) if port.ipv4 else None,
            "ipv6": str(port.ipv6) if port.ipv6 else None,
            "mac": port.mac,
        }
        for ports in plan.ports.values()
        for port in ports
    ]


def usage(cls: Any) -> str:
    """The arguments of a topology with their defaults, as written on the command line."""
    return ",".join(
        f"{p.name}={p.default}" for p in build_arguments(cls) if not hasattr(p.default, "rate_mbps")
    )


def _value(word: str) -> Any:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"True": True, "False": False, "yes": True, "no": False}.get(word, word)
