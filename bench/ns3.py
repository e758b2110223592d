"""The same dumbbell here and in ns-3, one after the other: a kernel's TCP and a simulator's.

    .venv/bin/python bench/ns3.py [--duration-s 60] [--flows 1] [--figure FILE.png]

Same rate, round-trip time, queue, flows, duration, and captures at both ends of the bottleneck.
ns-3 is the package `ns3` from PyPI, unpacked once under the cache folder; the dumbbell is a C++
program (bench/cases/ns3_dumbbell.cc) against its libraries, so that nothing is lost to Python
bindings. Our time is the guest's, boot and shutdown included; ns-3's is the program's. Goodput is
that behind the first sixth of the time, where slow start is over. CPU time is printed as well,
for a loaded machine changes it less. Needs g++.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis import throughput
from analysis.plots.style import COLOURS
from bench.speed import children_cpu_s, measured
from testbed import ScenarioData
from testbed.author.bulk_flows import PORT
from testbed.core.rundir import RunDir
from testbed.machine.kernel.store import cache_root
from topologies.dumbbell import BOTTLENECK_FAR

SOURCE = Path(__file__).with_name("cases") / "ns3_dumbbell.cc"
PACKAGE = "ns3==3.44.post0"
LIBRARIES = ("applications", "core", "internet", "network", "point-to-point", "traffic-control")
RATE_MBPS, RTT_MS, QUEUE_PKTS = 10.0, 40.0, 33
SHARES = {"guest": 1448 / 1514, "ns-3": 1448 / 1502}
"""Payload per byte on the wire: ours has Ethernet headers, ns-3's link PPP's 2 bytes."""

COLUMNS = ("ip_src", "tcp_sport", "tcp_dport", "tcp_seq", "tcp_payload_bytes", "wire_bytes")


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
        [
            "g++",
            "-O2",
            "-std=c++20",
            "-I",
            str(home / "ns3" / "include"),
            str(SOURCE),
            "-o",
            str(made),
            "-L",
            str(libraries),
            *(f"-l{release}-{name}" for name in LIBRARIES),
            f"-Wl,-rpath,{libraries}",
            "-Wl,--allow-shlib-undefined",
        ],
        check=True,
    )
    return made


def ns3(flows: int, duration_s: float) -> tuple[float, float, pd.Series]:
    """Wall and CPU seconds of the simulation with captures; bytes received in each second."""
    made = program()
    before_s, began_s = children_cpu_s(), time.perf_counter()
    done = subprocess.run(
        [
            str(made),
            f"--flows={flows}",
            f"--duration={duration_s}",
            f"--rate={RATE_MBPS}",
            f"--rtt={RTT_MS}",
            f"--queue={QUEUE_PKTS}",
            f"--folder={made.parent}",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    wall_s, cpu_s = time.perf_counter() - began_s, children_cpu_s() - before_s
    for capture in made.parent.glob("ns3-*.pcap"):
        capture.unlink()
    return wall_s, cpu_s, pd.Series(json.loads(done.stdout)["bytes"]).diff().dropna()


def received(run: RunDir) -> pd.Series:
    """Bytes that arrived in each second of our flows, each byte once."""
    data = ScenarioData("main", run.path / "scenarios" / "main", None)
    packets = data.packets(BOTTLENECK_FAR, COLUMNS)
    sent = packets[(packets["tcp_dport"] == PORT) & (packets["tcp_payload_bytes"] > 0)]
    flows = sent[["ip_src", "tcp_sport"]].drop_duplicates().to_numpy()
    came = pd.concat(throughput.arrivals(sent, source, sport) for source, sport in flows)
    return came.groupby((came["time_s"] - came["time_s"].min()).astype(int))["new_bytes"].sum()


def draw(goodput_mbps: Mapping[str, pd.Series], file: Path) -> None:
    """Both over time, each with what its headers leave of the rate."""
    figure, axes = plt.subplots(figsize=(9, 4))
    for colour, (name, share) in zip(COLOURS, SHARES.items(), strict=False):
        axes.plot(goodput_mbps[name], color=colour, label=name)
        axes.axhline(RATE_MBPS * share, color=colour, ls=":", label=f"{name}: rate less headers")
    axes.set(xlabel="time (s)", ylabel="goodput (Mbit/s, each second)", ylim=(0, None))
    axes.set_title(f"CUBIC over {RATE_MBPS:g} Mbit/s, {RTT_MS:g} ms, {QUEUE_PKTS} packets")
    axes.legend(fontsize=8)
    figure.savefig(file, dpi=110, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flows", type=int, default=1)
    parser.add_argument("--duration-s", type=float, default=60.0)
    parser.add_argument("--figure", type=Path, help="draws both goodputs over time")
    given = parser.parse_args()
    theirs_wall_s, theirs_cpu_s, theirs = ns3(given.flows, given.duration_s)
    ours: list[pd.Series] = []
    _, wall_s, cpu_s = measured(
        "speed",
        {
            "flows": given.flows,
            "duration_s": given.duration_s,
            "rate_mbps": RATE_MBPS,
            "rtt_ms": RTT_MS,
            "queue_pkts": QUEUE_PKTS,
            "probe": False,
        },
        500.0,
        lambda run: ours.append(received(run)),
    )
    goodput_mbps = {"guest": ours[0].iloc[:-1] * 8e-6, "ns-3": theirs * 8e-6}
    print(
        f"{given.flows} CUBIC, {RATE_MBPS:g} Mbit/s, {RTT_MS:g} ms, {QUEUE_PKTS} packets, "
        f"{given.duration_s:g} s, captures at both ends"
    )
    print(f"{'':8} {'wall s':>7} {'CPU s':>7} {'Mbit/s':>7} {'formula':>8}")
    for name, times in {"ns-3": (theirs_wall_s, theirs_cpu_s), "guest": (wall_s, cpu_s)}.items():
        settled = goodput_mbps[name].iloc[len(goodput_mbps[name]) // 6 :].mean()
        print(
            f"{name:8} {times[0]:7.2f} {times[1]:7.2f} {settled:7.3f} "
            f"{RATE_MBPS * SHARES[name]:8.3f}"
        )
    print(f"{'ratio':8} {wall_s / theirs_wall_s:7.2f} {cpu_s / theirs_cpu_s:7.2f}   target ≤ 0.6")
    if given.figure:
        draw(goodput_mbps, given.figure)


if __name__ == "__main__":
    main()
