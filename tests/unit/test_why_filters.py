"""What `why` adds to a node's filter for a moment is removed, whenever Ctrl-C comes."""

from typing import Any

import pytest

from testbed.net.why import filters


class Watcher:
    ended = False

    def terminate(self) -> None:
        self.ended = True

    def communicate(self, timeout: float = 0) -> tuple[str, str]:
        return "", ""


class Interrupted:
    """Nodes with filters; the n-th program of them that starts is ended by Ctrl-C."""

    def __init__(self, at: int) -> None:
        self.net, self.left = self, at
        self.watchers: list[Watcher] = []
        self.tables: set[str] = set()

    def __getitem__(self, node: str) -> Any:
        return self

    def popen(self, *argv: object, **options: object) -> Watcher:
        self.watchers.append(Watcher())
        return self.watchers[-1]

    def run(self, node: str, *argv: str) -> str:
        if argv[1].startswith("table ip testbed_why"):
            self.tables.add(node)
        if argv[1] == "delete":
            self.tables.discard(node)
        elif argv[1] != "list":
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
        return "hook"


@pytest.mark.parametrize("at", [1, 2, 3])  # the tables of two nodes, then the ping
def test_ctrl_c_leaves_nothing_behind(at):
    state: Any = Interrupted(at)
    with pytest.raises(KeyboardInterrupt):
        filters.dropping(state, "h1", None, ["r1", "r2"])  # type: ignore[arg-type]
    assert state.watchers and all(watcher.ended for watcher in state.watchers)
    assert not state.tables
