"""The page of `testbed view` for 10⁴, 10⁵ and 10⁶ packets: size, time to open, frames per second.

    python bench/viewer.py [--packets 10000 …]

Makes captures of 16 TCP flows, writes their pages, and opens each in Chromium without a graphics
card. "open" is the time from the start of loading until the network is drawn and the clock shown;
"frames" are counted while it plays so fast that hundreds of packets are on their way.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from cases.tcp_capture import make
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.in_browser import Browser, browser  # the project's folder is not on the path here

OPENED = """new Promise(done => { const look = () => {
  if (document.querySelector('.clock')?.textContent) done(performance.now());
  else setTimeout(look, 5);
}; look(); })"""
FASTER = "for (let i = 0; i < %d; i++) document.querySelector('#faster').click()"
FRAMES = """new Promise(done => { let frames = 0; const start = performance.now();
  const frame = now => {
    frames++;
    if (now - start < 3000) requestAnimationFrame(frame);
    else done([frames * 1000 / (now - start), document.querySelector('.flight').textContent]);
  }; requestAnimationFrame(frame); })"""


@click.command()
@click.option("--packets", multiple=True, type=int, default=(10_000, 100_000, 1_000_000))
def main(packets: tuple[int, ...]) -> None:
    table = Table("packets", "page (MB)", "written in (s)", "open (s)", "frames per second", "with")
    with tempfile.TemporaryDirectory() as name, browser(Path(name)) as running:
        for count in packets:
            table.add_row(f"{count:,}", *measured(Path(name), count, running))
    Console(width=100).print(table)


def measured(folder: Path, count: int, running: Browser) -> list[str]:
    """Cells of the table's row."""
    capture, page = folder / "capture.pcap", folder / f"{count}.html"
    make(capture, count, 96)
    began = time.perf_counter()
    argv = [sys.executable, "-m", "testbed", "capture", "view", str(capture), "-o", str(page)]
    subprocess.run(argv, check=True, capture_output=True)
    written_s = time.perf_counter() - began
    with running.opened(page) as tab:
        open_s = tab.value(OPENED) / 1000
        tab.click("#play")
        tab.value(FASTER % 8)
        frames, flight = tab.value(FRAMES)
    size_mb = page.stat().st_size / 1e6
    return [f"{size_mb:.2f}", f"{written_s:.1f}", f"{open_s:.2f}", f"{frames:.0f}", flight]


if __name__ == "__main__":
    main()
