"""Notebooks run in Jupyter, as `make notebook` opens them; runs are made in one."""

import shutil

import nbclient
import nbformat
import pytest

import testbed
from testbed.core.project import PROJECT
from testbed.core.rundir import RunDir
from testbed.results import notebook

pytestmark = pytest.mark.guest


def shown(book, folder):
    """What the code cells of a notebook show, as MIME types; the text of all outputs."""
    done = nbclient.execute(book, cwd=str(folder), timeout=120)
    outputs = [o for cell in done.cells if cell.cell_type == "code" for o in cell.outputs]
    return {kind for output in outputs for kind in output.get("data", {})}, str(outputs)


def test_a_notebook_runs_in_jupyter(guest_kernel, tmp_path, monkeypatch):
    """The other tests execute notebooks without a kernel of Jupyter's."""
    run = testbed.run("layers", out=tmp_path, runtime="guest")
    monkeypatch.setenv("TESTBED_RUN", str(run.path))
    path = notebook.path_of("layers")
    kinds, _ = shown(nbformat.read(path, as_version=4), path.parent)
    assert {"image/png", "image/svg+xml", "text/html"} <= kinds


def test_a_cell_makes_a_run_and_shows_its_progress(guest_kernel, tmp_path):
    cells = [
        "import testbed",
        f"run = testbed.run('layers', page_bytes=3000, out={str(tmp_path)!r}, runtime='guest')",
        "run",
        "try:\n    testbed.run('layers', page_bytes=-1)\n"
        "except testbed.TestbedError as error:\n    print('refused:', error)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in cells])
    _, text = shown(book, tmp_path)
    (folder,) = tmp_path.glob("layers-*")
    assert f"<b>{folder.name}</b>: guest, virtual clock" in text
    assert text.count(">PASS</td>") == 7 and "data:image/png;base64" in text
    assert "refused: page_bytes: -1 is out of range" in text


def test_an_experiment_of_ones_own_has_a_notebook(guest_kernel, tmp_path):
    file = tmp_path / "outage.py"
    shutil.copy(PROJECT / "docs/examples/outage.py", file)
    run = testbed.run(file, outages_s=[0.5, 1], out=tmp_path, runtime="guest")
    assert set(run.claims["verdict"]) == {"PASS"}
    path = notebook.file_for(RunDir(run.path))
    assert path.parent == run.path
    kinds, text = shown(nbformat.read(path, as_version=4), path.parent)
    assert {"image/svg+xml", "text/html"} <= kinds
    for scenario in ("0.5s", "1s"):
        assert f"Messages at {run.captures(scenario)['capture'][0]}" in text


def test_a_repetition_is_opened_as_one(guest_kernel, tmp_path):
    runs = testbed.run("layers", repeat=2, out=tmp_path, runtime="guest", progress=False)
    assert list(runs.runs) == [1, 2] and set(runs.claims["held"]) == {2}
    assert testbed.open(runs.path).report.is_file()
