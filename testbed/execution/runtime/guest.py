"""The guest runtime: each run boots its own User-Mode Linux kernel, as an ordinary process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from testbed import guest_init
from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT
from testbed.execution.runtime import launch
from testbed.execution.runtime.cpus import reserved_cpu
from testbed.execution.runtime.outcome import Clock, KernelInfo, Outcome, Watched
from testbed.execution.runtime.sources import copied, copied_libraries
from testbed.machine.image.store import Image

START_EPOCH_S = 1_700_000_000
"""What a virtual clock shows at boot: 2023-11-14 22:13:20 UTC, before any certificate expires."""

_MIN_MEMORY_MB, _MAX_MEMORY_MB = 96, 65_536
_PYTHON = "/usr/bin/python3"
_LOADER = "/lib64/ld-linux-x86-64.so.2"
"""Starts Python without reading the machine's ``/etc/ld.so.cache``, which process 1 still sees:
its size would show in the addresses of all that process 1, and what it forks, has in memory."""
_NO_DEVICES = ("fb_tunnels=none", "dummy.numdummies=0", "bonding.max_bonds=0", "ifb.numifbs=0")
"""Suppresses default devices (sit0, gre0 and more) in each of a network's namespaces."""

_KERNEL_ENVIRONMENT = {"PATH": guest_init.ENVIRONMENT["PATH"], "HOME": "/dev/shm"}


@dataclass(frozen=True)
class GuestRuntime:
    """Boots a guest kernel for each run.

    Attributes:
        path: the guest kernel's file.
        clock: `virtual` needs our own kernel.
        kernel: its version and hash.
        why: why this runtime and clock.
        image: where programs and libraries come from; None: from the host.
    """

    path: Path
    clock: Clock
    kernel: KernelInfo
    why: str
    image: Image | None = None
    name: str = "guest"

    def run(
        self,
        scenario_dir: Path,
        *,
        seed: int,
        memory_mb: int = 1024,
        module: str = "testbed.execution.inside",
        lent: Sequence[Path] = (),
        **watched: Unpack[Watched],
    ) -> Outcome:
        """See `Runtime.run`; `lent` are folders of the user's that the guest may look into."""
        if not _MIN_MEMORY_MB <= memory_mb <= _MAX_MEMORY_MB:
            allowed = f"{_MIN_MEMORY_MB} to {_MAX_MEMORY_MB}"
            raise ConfigError(f"memory_mb: {memory_mb} is out of range; allowed: {allowed}")
        if not 0 <= seed < 2**63:
            raise ConfigError(f"seed: {seed} is out of range; 0 to 2^63 - 1")
        terminal = watched.get("terminal") is not None
        argv = [str(self.path), *self._options(seed, memory_mb, module, terminal)]
        root = self.image.root if self.image else None
        with (
            copied(PROJECT, module, root) as project,
            nullcontext(self.image.site) if self.image else copied_libraries() as site,
            reserved_cpu(watched.get("cpu")) as cpu,
        ):
            watched["cpu"] = cpu
            job = launch.Job(
                argv,
                _KERNEL_ENVIRONMENT,
                project,
                site,
                read_only=True,
                root=root,
                lent=lent,
                terminal=(guest_init.TERMINAL_FD,),
            )
            return launch.run(job, scenario_dir, **watched)

    def _options(self, seed: int, memory_mb: int, module: str, terminal: bool) -> list[str]:
        """The kernel's command line: the same for every user, folder and machine.

        ``mem=`` and ``seccomp=`` are taken by the start-up code and are not visible inside.
        """
        virtual = ["time-travel=inf-cpu", f"time-travel-start={START_EPOCH_S * 10**9}"]
        return [
            f"mem={memory_mb}M",
            "seccomp=auto",
            *(virtual if self.clock == "virtual" else []),
            f"lab_seed={seed}",
            "norandmaps",
            *_NO_DEVICES,
            "root=98:0",  # this and the console would else be added behind the program's arguments
            "console=tty0",
            f"hostfs_writable=/proc/self/fd/{guest_init.LAB_FD}",
            "rootfstype=hostfs",
            f"rootflags=/proc/self/fd/{guest_init.ROOT_FD}" if self.image else "rootflags=/",
            "ro",
            "quiet",
            "con=null",
            "con0=fd:0,fd:1",
            f"con1=null,fd:{guest_init.PROGRESS_FD}",
            *([f"con2=fd:{guest_init.TERMINAL_FD}"] if terminal else []),
            "panic=-1",
            *(f"{name}={guest_init.ENVIRONMENT[name]}" for name in guest_init.FIRST_PROCESS),
            f"init={_LOADER}",
            "--",
            "--inhibit-cache",
            _PYTHON,
            "-sSP",
            "-c",
            f'"{guest_init.BOOT}"',
            "guest",
            module,
        ]
