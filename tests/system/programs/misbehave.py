"""Runs inside: ends badly in the way ``misbehaviour`` in its folder says."""

import ctypes
import sys
from pathlib import Path


def fill_memory() -> None:
    hog = []
    while True:
        hog.append(b"x" * 2**20)


def panic() -> None:
    Path("/proc/sys/vm/panic_on_oom").write_text("2")
    fill_memory()


def write_elsewhere(folder: Path) -> None:
    """Root inside tries all ways to a place of the host's outside of its folder."""
    target = Path((folder / "target").read_text())
    libc = ctypes.CDLL(None)
    outside = f"/tmp/{target.parent.name}"
    Path(outside).mkdir()
    libc.mount(b"none", outside.encode(), b"hostfs", 0, str(target.parent).encode())
    libc.mount(b"none", outside.encode(), b"hostfs", 32, None)  # MS_REMOUNT, read-write
    attempts = {
        "seen": (Path(outside) / target.name).read_text,
        "write": lambda: (Path(outside) / target.name).write_text("changed"),
        "create": lambda: (Path(outside) / "new").write_text("new"),
        "chmod": lambda: (Path(outside) / target.name).chmod(0o777),
        "project": lambda: Path("/run/testbed/new").write_text("new"),
    }
    results = {}
    for name, attempt in attempts.items():
        try:
            results[name] = attempt() if name == "seen" else bool(attempt() or True)
        except OSError as error:
            results[name] = f"refused: {error.strerror}"
    (folder / "results").write_text(repr(results))


def main(folder: Path) -> None:
    ways = {
        "exit": lambda: sys.exit(7),
        "raise": lambda: 1 / 0,
        "memory": fill_memory,
        "panic": panic,
        "switch off": lambda: ctypes.CDLL(None).reboot(0x4321FEDC),
        "spin": lambda: [None for _ in iter(int, 1)],
        "fill disk": lambda: (folder / "big").write_bytes(bytes(2**27)),
        "elsewhere": lambda: write_elsewhere(folder),
    }
    ways[(folder / "misbehaviour").read_text()]()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
