"""What a runtime reports to its caller: how a run ended, and its progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypedDict, Unpack

from testbed.execution.runtime.limits import Limits

Clock = Literal["virtual", "real"]

Status = Literal[
    "complete",
    "failed",
    "panic",
    "out_of_memory",
    "time_limit",
    "killed",
    "interrupted",
    "cpu_limit",
    "disk_limit",
]
"""How a run ended. `failed`: the program inside ended with an exit code other than 0."""


@dataclass(frozen=True)
class Progress:
    """A run's progress.

    Attributes:
        run_s: seconds on the run's own clock since it booted (virtual or real).
        wall_s: seconds of the user's time since the start.
        message: the last thing the program inside reported; empty if nothing yet.
    """

    run_s: float
    wall_s: float
    message: str = ""


class Stop(Protocol):
    """An event of `threading` or `multiprocessing` that asks a run to end."""

    def is_set(self) -> bool:
        """True once the run should end."""
        ...


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: see `Status`.
        reason: one line for the user; empty on success.
        exit_code: of the program inside; None if it never ended.
        run_s: seconds that passed on the run's own clock, as last reported.
        wall_s: seconds of the user's time, boot and shutdown included.
        cpu: the processor the run was pinned to; None if it was not.
        isolation: what, besides the guest kernel, keeps a run from writing outside its folder:
            `namespaces` (root's runs), `landlock` (others') or nothing: `process`.
    """

    status: Status
    reason: str = ""
    exit_code: int | None = None
    run_s: float = 0.0
    wall_s: float = 0.0
    cpu: int | None = None
    isolation: str = ""

    @property
    def ok(self) -> bool:
        """True if the program inside ran to its end with exit code 0."""
        return self.status == "complete"


class KernelInfo(TypedDict):
    """The kernel a network runs on, as recorded in the run directory.

    `version` is what ``uname -r`` prints; `sha256` that of the guest kernel's file, empty for the
    host's kernel.
    """

    version: str
    sha256: str


class Watched(TypedDict, total=False):
    """How a run is watched and limited: arguments of `Runtime.run`.

    Attributes:
        wall_limit_s: the run is ended after this many seconds of the user's time; default 600.
        cpu: pin to this processor; None: to one that no other run uses.
        on_progress: called about ten times a second, from the calling thread.
        stop: set it (from any thread) to end the run as `interrupted`.
        terminal: descriptor of a terminal the program talks to; None: nothing to read, and what it
            prints goes to ``console.log``.
        limits: of processor time and disk; None: none.
    """

    wall_limit_s: float
    cpu: int | None
    on_progress: OnProgress | None
    stop: Stop | None
    terminal: int | None
    limits: Limits | None


class Runtime(Protocol):
    """Where a run's network runs: `GuestRuntime` or `HostRuntime`.

    Attributes:
        name: `guest` or `host`.
        clock: `virtual` or `real`.
        kernel: the kernel used.
        why: one sentence on why this runtime and clock were chosen.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 (see above; so are the next three)
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def kernel(self) -> KernelInfo: ...  # noqa: D102
    @property
    def why(self) -> str: ...  # noqa: D102

    def run(
        self,
        scenario_dir: Path,
        *,
        seed: int,
        memory_mb: int = 1024,
        module: str = "testbed.execution.inside",
        **watched: Unpack[Watched],
    ) -> Outcome:
        """Runs ``python -m module FOLDER`` in isolation.

        Inside, `scenario_dir` is `guest_init.LAB`, the only place that keeps what is written, and
        the project is `guest_init.PROJECT`. The console is kept in ``scenario_dir/console.log``.

        Args:
            scenario_dir: an existing folder.
            seed: of the guest kernel's random numbers; the host runtime cannot control its
                kernel's.
            memory_mb: memory of the guest, in MiB.
            module: what to run, importable from the project's root.
            watched: see `Watched`.

        Raises:
            OutputError: `scenario_dir` cannot be written.
            ConfigError: a number is out of range.
        """
        ...
