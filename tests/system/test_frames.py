"""A link carries frames: nothing else that one node's kernel knew of them reaches the next node."""

import json

import pytest

pytestmark = pytest.mark.guest

EXPECTED = {
    "ways_of_one_flow": lambda ways: ways == 1,
    "probes_of_a_router": lambda probes: probes >= 5,
    "repeated_in_time": lambda segments: segments >= 1,
}


@pytest.mark.parametrize("module", ["frames", "buffers"])
def test_only_frames_cross(module, in_guest):
    """On whole buffers each of them is otherwise: the test would find it."""
    folder, outcome = in_guest(module)
    console = (folder / "console.log").read_text()
    assert outcome["status"] == "complete", (outcome, console[-3000:])
    found = json.loads((folder / "frames.json").read_text())
    held = {name: check(found[name]) for name, check in EXPECTED.items()}
    assert held == dict.fromkeys(EXPECTED, module == "frames"), found
