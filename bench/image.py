"""Cold start from an image: importing its file, and the first run against the host's programs.

Takes the file that ``TESTBED_IMAGE`` names, else exports the image at hand first; without either
there is nothing to measure.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed import kernel
from testbed.image import exchange, store
from testbed.runtime import choose

IMPORT_LIMIT_S = 20.0
FLOW = "tests.system.programs.flow"


def image_file(folder: Path) -> Path | None:
    given = Path(os.environ.get("TESTBED_IMAGE", ""))
    if given.is_file():
        return given
    at_hand = store.ids()
    return exchange.export_image(at_hand[0], folder, lambda _: None) if at_hand else None


def flow_s(image: str) -> float:
    """Wall time of a flow, choosing and checking the image included."""
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        outcome = choose("guest", image=image).run(Path(folder), seed=1, memory_mb=512, module=FLOW)
    if not outcome.ok:
        sys.exit(f"{FLOW}: {outcome.reason}")
    return time.perf_counter() - began_s


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        folder = Path(scratch)
        path = image_file(folder)
        if path is None:
            print("no image at hand: nothing to measure (testbed image import FILE)")
            return
        size_mb = path.stat().st_size / 1e6
        host_s = min(flow_s("none") for _ in range(2)) if kernel.find() else None
        os.environ["TESTBED_CACHE"] = str(folder / "cache")
        began_s = time.perf_counter()
        image = store.bring_in(path)
        import_s = time.perf_counter() - began_s
        first_s, second_s = flow_s(image.id), flow_s(image.id)
    rows = {
        "size of the file": f"{size_mb:.1f} MB",
        f"import (at most {IMPORT_LIMIT_S:.0f} s)": f"{import_s:.1f} s",
        "first 5 s TCP flow after it": f"{first_s:.2f} s",
        "second": f"{second_s:.2f} s",
        "from the host's programs": f"{host_s:.2f} s" if host_s else "no guest kernel",
    }
    for name, value in rows.items():
        print(f"{name:45} {value}")
    if import_s > IMPORT_LIMIT_S:
        sys.exit("the import took too long")


if __name__ == "__main__":
    main()
