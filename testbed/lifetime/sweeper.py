"""A small process that removes a command's temporary files when the last of its processes ended.

It reads paths from a pipe whose other end the command and its workers alone hold open: the kernel
closes that, whatever ends them. Needs little, so that any writer may `note` what it has begun.
"""

from __future__ import annotations

import os

_SCRIPT = """
trap '' INT TERM HUP
while IFS= read -r path; do set -- "$@" "$path"; done
for try in 1 2 3 4 5 6 7 8 9 10; do
    rm -rf -- "$@" && exit
    if [ "$(id -u)" != 0 ]; then unshare --map-root-user --map-auto rm -rf -- "$@" && exit; fi
    sleep 0.2
done
"""
"""Others may still be writing there for a moment: guests end a little after what started them.
Files of other users' numbers (mmdebstrap's without root) are removed by those numbers."""

_pipe: int | None = None


def start() -> None:
    """Starts it, for this process and its forks."""
    import subprocess

    global _pipe
    reader, _pipe = os.pipe()
    subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "testbed-sweeper"],
        stdin=reader,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    ).returncode = 0  # it outlives us: nobody waits for it
    os.close(reader)


def note(path: str | os.PathLike[str]) -> None:
    """The path, a file or a folder, is removed at the end, if it is there then.

    Nothing happens in a process that has no sweeper: a library's user, or a program in a guest.
    Nor with a name that has a line's end in it: its parts would be other paths.
    """
    name = os.fsencode(os.path.abspath(path))  # noqa: PTH100 (no import)
    if _pipe is not None and b"\n" not in name:
        try:
            os.write(_pipe, name + b"\n")
        except BrokenPipeError:  # somebody ended it: the next command removes what is left
            return


def handed_down() -> tuple[int, ...]:
    """Its descriptor, for a process that is started and calls `take`; empty without a sweeper."""
    return () if _pipe is None else (_pipe,)


def take(descriptors: tuple[int, ...]) -> None:
    """The sweeper of the process that started this one is ours, too."""
    global _pipe
    for _pipe in descriptors:
        os.set_inheritable(_pipe, False)
