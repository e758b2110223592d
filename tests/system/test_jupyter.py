"""A notebook runs in Jupyter, as `make notebook` opens it."""

import nbclient
import nbformat
import pytest

from testbed.execution.runner import Request, run
from testbed.results import notebook

pytestmark = pytest.mark.guest


def test_a_notebook_runs_in_jupyter(guest_kernel, tmp_path, monkeypatch):
    """The other tests execute notebooks without a kernel of Jupyter's."""
    made = run(Request("layers", out=tmp_path, runtime="guest"))
    monkeypatch.setenv("TESTBED_RUN", str(made.run.path))
    path = notebook.path_of("layers")
    book = nbformat.read(path, as_version=4)
    done = nbclient.execute(book, cwd=str(path.parent), timeout=120)
    shown = [
        kind
        for cell in done.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        for kind in output.get("data", {})
    ]
    assert {"image/png", "image/svg+xml", "text/html"} <= set(shown)
