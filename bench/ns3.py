"""The same dumbbell here and in ns-3, one after the other: a kernel's TCP beside a simulator's.

    .venv/bin/python bench/ns3.py [--duration-s 60] [--flows 1]

Same rate, round-trip time, queue, flows, duration, and captures at both ends of the bottleneck.
ns-3 is the package `ns3` from PyPI, unpacked once under the cache folder; the dumbbell is a C++
program (bench/cases/ns3_dumbbell.cc) against its libraries, so that nothing is lost to Python
bindings. Our time is the guest's, boot and shutdown included; ns-3's is the program's. CPU time
stands beside wall time, for a loaded machine changes it less. Needs g++.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.speed import children_cpu_s, measured
from testbed.kernel.store import cache_root

SOURCE = Path(__file__).with_name("cases") / "ns3_dumbbell.cc"
PACKAGE = "ns3==3.44.post0"
LIBRARIES = ("applications", "core", "internet", "network", "point-to-point", "traffic-control")
RATE_MBPS, RTT_MS, QUEUE_PKTS = 10.0, 40.0, 33


def program() -> Path:
    """The compiled dumbbell; made once."""
    home = cache_root().parent / "ns3"
    made = home / "dumbbell"
    if made.is_file() and made.stat().st_mtime > SOURCE.stat().st_mtime:
        return made
    home.mkdir(parents=True, exist_ok=True)
    libraries = home / "ns3" / "lib64"
    if not libraries.is_dir():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(home)]
        subprocess.run([*pip, PACKAGE], check=True)
        with zipfile.ZipFile(next(home.glob("*.whl"))) as wheel:
            wheel.extractall(home)
    release = next(libraries.glob("libns3.*-core.so")).name.split("-")[0].removeprefix("lib")
    subprocess.run(
        ["g++", "-O2", "-std=c++20", "-I", str(home / "ns3" / "include"), str(SOURCE),
         "-o", str(made), "-L", str(libraries), *(f"-l{release}-{name}" for name in LIBRARIES),
         f"-Wl,-rpath,{libraries}", "-Wl,--allow-shlib-undefined"],
        check=True,
    )  # fmt: skip
    return made


def ns3(flows: int, duration_s: float) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and goodput in Mbit/s of the simulation with captures."""
    made = program()
    before_s, began_s = children_cpu_s(), time.perf_counter()
    done = subprocess.run(
        [str(made), f"--flows={flows}", f"--duration={duration_s}", f"--rate={RATE_MBPS}",
         f"--rtt={RTT_MS}", f"--queue={QUEUE_PKTS}", f"--folder={made.parent}"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    wall_s, cpu_s = time.perf_counter() - began_s, children_cpu_s() - before_s
    for capture in made.parent.glob("ns3-*.pcap"):
        capture.unlink()
    return wall_s, cpu_s, float(json.loads(done.stdout)["goodput_mbps"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--duration-s", type=float, default=60.0)
    given = parser.parse_args()
    theirs = ns3(given.flows, given.duration_s)
    ours = measured(
        "speed",
        {"flows": given.flows, "duration_s": given.duration_s, "rate_mbps": RATE_MBPS,
         "rtt_ms": RTT_MS, "queue_pkts": QUEUE_PKTS, "probe": False},
        500.0,
    )  # fmt: skip
    print(f"{given.flows} CUBIC, {RATE_MBPS:g} Mbit/s, {RTT_MS:g} ms, {QUEUE_PKTS} packets, "
          f"{given.duration_s:g} s, captures at both ends")  # fmt: skip
    print(f"{'':10} {'wall s':>7} {'CPU s':>7}")
    print(f"{'ns-3':10} {theirs[0]:7.2f} {theirs[1]:7.2f}   goodput {theirs[2]:.3f} Mbit/s, "
          f"formula {RATE_MBPS * 1448 / 1502:.3f}")  # fmt: skip
    print(f"{'guest':10} {ours[1]:7.2f} {ours[2]:7.2f}   boot and shutdown included")
    print(f"{'ratio':10} {ours[1] / theirs[0]:7.2f} {ours[2] / theirs[1]:7.2f}   target ≤ 0.6")


if __name__ == "__main__":
    main()
