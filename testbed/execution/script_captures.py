"""Captures in networks that a Mininet script starts."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.author.running_network import RunningNetwork
from testbed.core import files
from testbed.net import dropin

if TYPE_CHECKING:
    from testbed.net import Network


@contextmanager
def capturing(interfaces: Sequence[str], folder: Path) -> Iterator[None]:
    """Each network of the block is captured, into ``INTERFACE.pcap`` in the working directory.

    Args:
        interfaces: names such as ``s1-eth1``.
        folder: for what is not finished.

    Raises:
        ConfigError: a network that starts has no such interface.
    """
    if not interfaces:
        yield
        return
    open_ones: list[Callable[[], None]] = []
    taken: set[Path] = set()

    def started(net: Network) -> Callable[[], None]:
        end = _begin(net, interfaces, Path(tempfile.mkdtemp(dir=folder)), taken)
        open_ones.append(end)
        return end

    dropin.session.started = started
    try:
        yield
    finally:
        with ExitStack() as stack:  # of scripts that do not stop their network
            for end in reversed(open_ones):
                stack.callback(end)


def _begin(
    net: Network, interfaces: Sequence[str], folder: Path, taken: set[Path]
) -> Callable[[], None]:
    """Starts the captures; the result ends them."""
    running = RunningNetwork(net, folder)
    running.__enter__()
    here, ended = Path.cwd(), False

    def end() -> None:
        nonlocal ended
        if ended:
            return
        ended = True
        running.__exit__(None, None, None)
        for capture in sorted((folder / "captures").glob("*.pcap")):
            target = _free(here / capture.name, taken)
            with files.writing(target) as file, capture.open("rb") as packets:
                shutil.copyfileobj(packets, file)
            capture.unlink()

    try:
        running.capture(*interfaces)
    except BaseException:
        running.__exit__(None, None, None)
        raise
    return end


def _free(path: Path, taken: set[Path]) -> Path:
    """The path; with a number if an earlier network of the script took it."""
    names = (path.with_stem(f"{path.stem}-{n}") for n in range(2, 10_000))
    free = path if path not in taken else next(n for n in names if n not in taken)
    taken.add(free)
    return free
