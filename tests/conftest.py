"""Fixtures of all tests."""

import ast
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis import compiled
from testbed.results import notebook
from testbed.results.pictures import Picture

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's, for what it starts with `&`
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start must hear it
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # of nohup, which the tests still honour
    signal.signal(signal.SIGHUP, lambda *_: None)  # what they start does not inherit a handler

os.environ.pop("TESTBED_LANG", None)  # tests, and what they start, read English everywhere
os.environ["LC_ALL"] = "C.UTF-8"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a file stay on one worker and share what they made; a file may group otherwise."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(scope="module")
def compiled_reader() -> None:
    """The packet reader's compiled part; where it can be built, it must have been."""
    if compiled.library() is None:
        if shutil.which("cc") or shutil.which("gcc"):
            pytest.fail(f"{compiled.NAME} is missing; install it with: {compiled.BUILD_COMMAND}")
        pytest.skip(f"{compiled.NAME} cannot be built here: no C compiler")


@pytest.fixture(scope="module", params=["compiled", "NumPy alone"])
def either_reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of a module's tests with the packet reader's compiled part, and again without."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "compiled":
            request.getfixturevalue("compiled_reader")
        else:
            patch.setattr(compiled, "library", lambda: None)
        yield


@pytest.fixture
def reads_notebook(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Executes an experiment's notebook on the first run of it that these tests made.

    Its cells run in this process (a Jupyter kernel each would take most of the time); what a cell
    shows is rendered as Jupyter would.
    """

    def read(experiment: str) -> None:
        runs = tmp_path_factory.getbasetemp().glob(f"*/{experiment}-*/run.json")
        first = min(runs, key=lambda path: path.stat().st_mtime_ns)
        monkeypatch.setenv("TESTBED_RUN", str(first.parent))
        shown = execute(notebook.path_of(experiment))
        assert len(shown) >= 3

    return read


def execute(path: Path) -> list[Any]:
    """Executes a notebook's cells; returns what they show."""
    names: dict[str, Any] = {}
    shown = []
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(cell["source"]), f"{path.name} cell {number}").body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), f"{path.name} cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(
                compile(ast.Expression(last.value), f"{path.name} cell {number}", "eval"), names
            )
            shown.append(_rendered(value))
    return shown


def _rendered(value: Any) -> Any:
    if isinstance(value, Picture):
        ((kind, content),) = value._repr_mimebundle_().items()
        assert content, f"an empty {kind}"
        return content
    html = getattr(value, "_repr_html_", None)
    return html() if html else repr(value)
