"""The host runtime: the running kernel, in namespaces of the run's own. Needs root."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from testbed import world
from testbed.errors import MissingPrerequisiteError
from testbed.runtime import launch
from testbed.runtime.limits import Limits
from testbed.runtime.outcome import Clock, KernelInfo, OnProgress, Outcome, Stop
from testbed.runtime.sources import copied, copied_libraries

_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class HostRuntime:
    """Runs on the host's kernel, real clock; no way from inside to the host's network."""

    why: str
    name: str = "host"
    clock: Clock = "real"

    @property
    def kernel(self) -> KernelInfo:
        """The running kernel."""
        return {"version": platform.release(), "sha256": ""}

    def run(
        self,
        scenario_dir: Path,
        *,
        seed: int,
        memory_mb: int = 1024,
        wall_limit_s: float = 600.0,
        cpu: int | None = None,
        on_progress: OnProgress | None = None,
        stop: Stop | None = None,
        module: str = "testbed.inside",
        terminal: int | None = None,
        limits: Limits | None = None,
    ) -> Outcome:
        """See `Runtime.run`; seed and memory size are the guest's matter."""
        if os.geteuid() != 0:
            raise MissingPrerequisiteError(
                "root", "sudo testbed run --runtime host ...", "the host runtime makes networks"
            )
        boot = f"/proc/self/fd/{world.PROJECT_FD}/testbed/world/boot.py"
        argv = [_PYTHON, "-sSP", boot, "host", module]
        with copied(launch.PROJECT_ROOT, module) as project, copied_libraries() as site:
            return launch.run(
                launch.Job(argv, world.ENVIRONMENT, project, site, network=True),
                scenario_dir,
                wall_limit_s=wall_limit_s,
                cpu=cpu,
                on_progress=on_progress,
                stop=stop,
                terminal=terminal,
                limits=limits,
            )
