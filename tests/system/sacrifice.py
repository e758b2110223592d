"""Runs a command on a machine that may be lost, and says which of its files changed.

    python sacrifice.py COMMAND...

In mounts of this process alone, `/etc`, `/root`, `/run`, `/usr/local` and `/var/lib` are copies or
empty, each with files of the test's own. So a command that should leave the machine's files as they
are can be tested, and its mutant too, without harm. Prints JSON: ``changed``, ``code``, ``output``.
"""

import ctypes
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PLACES = ("/etc", "/root", "/run", "/usr/local", "/var/lib")
MARKERS = ("x", "machine.out", "folder/deep")
_NEWNS, _REC_PRIVATE = 0x20000, 0x44000

_libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def prepare():
    """The places, in memory; raises before anything runs if they are not ours alone."""
    check(_libc.unshare(_NEWNS))
    check(_libc.mount(b"none", b"/", None, _REC_PRIVATE, None))
    for place in map(Path, PLACES):
        copy = Path(tempfile.mkdtemp()) / "copy"
        if place == Path("/etc"):
            shutil.copytree(place, copy, symlinks=True)
        check(_libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, b"mode=755"))
        if copy.exists():
            shutil.copytree(copy, place, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(copy.parent)
        for name in MARKERS:
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).write_text("the machine's")
    for name in ("resolv.conf", "hosts"):
        Path("/etc", name).unlink(missing_ok=True)
        Path("/etc", name).write_text("127.0.0.1 localhost\n" if name == "hosts" else "# ours\n")


def state(folders):
    """Path → what it is, of everything in the folders."""
    found = {}
    for top in folders:
        for folder, names, files in os.walk(top):
            for name in (*names, *files):
                path = Path(folder, name)
                known = path.lstat()
                content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                digest = hashlib.sha256(content).hexdigest()
                found[str(path)] = [oct(known.st_mode), known.st_uid, known.st_mtime_ns, digest]
    return found


def main(command):
    prepare()
    with tempfile.TemporaryDirectory(prefix="sacrifice-", dir="/tmp") as shared:
        for name in MARKERS:
            Path(shared, name).parent.mkdir(exist_ok=True)
            Path(shared, name).write_text("the machine's")
        os.environ["SACRIFICE"] = shared
        folders = (*PLACES, shared)
        before = state(folders)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        after = state(folders)
    changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
    found = {"changed": changed, "code": done.returncode, "output": done.stdout + done.stderr}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
