"""Cold start from an image: importing its file, and the first run against a warm one of the host's.

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

from testbed.execution.runtime import choose
from testbed.execution.runtime.sources import prepare
from testbed.machine import kernel
from testbed.machine.image import store, transfer

IMPORT_LIMIT_S = 20.0
REPEATS = 2
TOLERANCE = 0.1
FLOW = "tests.system.programs.flow"


def image_file(folder: Path) -> Path | None:
    given = Path(os.environ.get("TESTBED_IMAGE", ""))
    if given.is_file():
        return given
    at_hand = store.ids()
    return transfer.export_image(at_hand[0], folder, lambda _: None) if at_hand else None


def flow_s(image: str) -> float:
    """Wall time of a flow, choosing and checking the image included."""
    began_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        outcome = choose("guest", image=image).run(Path(folder), seed=1, memory_mb=512, module=FLOW)
    if not outcome.ok:
        sys.exit(f"{FLOW}: {outcome.reason}")
    return time.perf_counter() - began_s


def first_and_second_s(image: str) -> tuple[float, float]:
    return flow_s(image), flow_s(image)


def from_host_s(cache: Path) -> tuple[float, float] | None:
    """First and second flow from the host's programs, with nothing in the cache but the kernel."""
    built = kernel.find()
    if built is None:
        return None
    (cache / "kernels").mkdir(parents=True)
    (cache / "kernels" / built.path.parent.name).symlink_to(built.path.parent)
    os.environ["TESTBED_CACHE"] = str(cache)
    return first_and_second_s("none")


def from_file_s(path: Path, cache: Path) -> tuple[float, float, float]:
    """Import, first and second flow, in an empty cache."""
    os.environ["TESTBED_CACHE"] = str(cache)
    began_s = time.perf_counter()
    image = store.bring_in(path)
    prepare(image, FLOW)
    import_s = time.perf_counter() - began_s
    return import_s, *first_and_second_s(image.id)


def main() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        folder = Path(scratch)
        path = image_file(folder)
        if path is None:
            print("no image at hand: nothing to measure (testbed image import FILE)")
            return
        size_mb = path.stat().st_size / 1e6
        host_s = from_host_s(folder / "host")
        imports = [from_file_s(path, folder / f"cache{number}") for number in range(REPEATS)]
        import_s, first_s, second_s = (min(times) for times in zip(*imports, strict=True))
    shown = (f"{t:.2f} s" for t in host_s) if host_s else ["no guest kernel"] * 2
    rows = {
        "size of the file": f"{size_mb:.1f} MB",
        f"import (at most {IMPORT_LIMIT_S:.0f} s)": f"{import_s:.1f} s",
        "first 5 s TCP flow after it": f"{first_s:.2f} s",
        "second": f"{second_s:.2f} s",
        **dict(zip(("first from the host's programs", "second from them"), shown, strict=True)),
    }
    for name, value in rows.items():
        print(f"{name:45} {value}")
    if import_s > IMPORT_LIMIT_S:
        sys.exit("the import took too long")
    if host_s and first_s > (1 + TOLERANCE) * host_s[1]:
        sys.exit("the first run from an image is slower than one from the host's programs")


if __name__ == "__main__":
    main()
