"""One root for all our errors, with a few concrete meanings.

An error is one line for the user: what is wrong (file, field), and how to fix it. The exit
code of the command line is the error's `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of the `testbed` command."""

    PASS = 0
    CLAIM_FAILED = 1
    USAGE = 2
    ENVIRONMENT = 3
    INCONCLUSIVE = 4


class TestbedError(Exception):
    """Root of all errors the testbed raises on purpose."""

    __test__ = False  # pytest would mistake it for a test class
    exit_code: ExitCode = ExitCode.ENVIRONMENT

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets errors cross process boundaries, whatever their constructors take."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(cls: type[TestbedError], args: tuple[Any, ...], data: dict[str, Any]) -> TestbedError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(data)
    return error


class ConfigError(TestbedError):
    """Bad input: a parameter, topology, file or option. Names the field and what is allowed."""

    exit_code = ExitCode.USAGE


class MissingPrerequisiteError(TestbedError):
    """A program, kernel or privilege is missing.

    Attributes:
        missing: what is missing, e.g. ``iperf3``.
        install: the one command that fixes it, e.g. ``sudo apt-get install iperf3``.
        why: what is wrong with it, if it is not simply absent.
    """

    def __init__(self, missing: str, install: str, why: str = "") -> None:
        self.missing, self.install, self.why = missing, install, why
        reason = f" ({why})" if why else ""
        super().__init__(f"{missing} is missing{reason}; install it with: {install}")


class CommandError(TestbedError):
    """A program in a node failed; carries what is needed to see why."""

    def __init__(
        self, node: str, argv: Iterable[str], exit_code: int, stdout: str = "", stderr: str = ""
    ) -> None:
        self.node, self.argv, self.returncode = node, list(argv), exit_code
        self.stdout, self.stderr = stdout, stderr
        self.last = ((stderr or stdout).strip().splitlines()[-1:] or ["no output"])[0]
        super().__init__(f"{node}: '{' '.join(self.argv)}' ended with {exit_code}: {self.last}")


class ConvergenceError(TestbedError):
    """Something that was waited for did not happen in time.

    Attributes:
        what: what was waited for.
        waited_s: for how long, in seconds of the run's clock.
        last_state: what was seen last.
    """

    def __init__(self, what: str, waited_s: float, last_state: str) -> None:
        self.what, self.waited_s, self.last_state = what, waited_s, last_state
        super().__init__(f"{what}: not after {waited_s:g} s; last state: {last_state}")


class ParseError(TestbedError):
    """Output or a file that cannot be read: names the source, the place and the reason."""

    def __init__(self, source: str, where: str, reason: str) -> None:
        self.source, self.where, self.reason = source, where, reason
        super().__init__(f"{source}: {where}: {reason}")


class CaptureError(ParseError):
    """A packet capture that cannot be read to the end.

    Attributes:
        offset: byte of the (decompressed) capture where it goes wrong.
        packets: DataFrame of all packets before it.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, source: str, offset: int, reason: str, packets: Any) -> None:
        self.offset, self.packets = offset, packets
        super().__init__(source, f"byte {offset}", f"{reason} ({len(packets)} packets before it)")


class OutputError(TestbedError):
    """A file or folder cannot be written: names it, with the system's reason."""


class RunIncompleteError(TestbedError):
    """A run did not reach its end (guest died, time limit, interrupted, full disk)."""


def last_line(source: str, error: BaseException) -> int | None:
    """The innermost line of a file that an error passed through; None: it did not."""
    import traceback  # not in a guest without errors

    frames = traceback.extract_tb(error.__traceback__)
    return next((f.lineno for f in reversed(frames) if f.filename == source), None)


def said_once(reasons: Mapping[str, str], count: int) -> str:
    """Several reasons (name → reason) in one line, each reason once.

    ``reno, cubic: no room; bbr: killed``; and ``all 13: no room`` where all `count` have the same.
    """
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    if len(names) == 1 and len(reasons) == count > 1:
        return f"all {count}: {next(iter(names))}"
    return "; ".join(f"{', '.join(who)}: {reason}" for reason, who in names.items())


def nearest(word: str, allowed: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the nearest allowed word, or an empty string."""
    match = difflib.get_close_matches(word, list(allowed), n=1)
    return f" (did you mean '{match[0]}'?)" if match else ""


def with_reason(state: str, reason: str) -> str:
    """``failed (no space)``; a reason that begins with the state says it all."""
    return reason if reason.startswith(state) else f"{state} ({reason})" if reason else state
