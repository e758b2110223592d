"""The host runtime: the running kernel, in private namespaces. Needs root."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from testbed import guest_init
from testbed.core.errors import MissingPrerequisiteError
from testbed.core.project import PROJECT
from testbed.execution.runtime import launch
from testbed.execution.runtime.limits import Limits
from testbed.execution.runtime.outcome import Clock, KernelInfo, OnProgress, Outcome, Stop
from testbed.execution.runtime.sources import copied, copied_libraries

_PYTHON = "/usr/bin/python3"


@dataclass(frozen=True)
class HostRuntime:
    """Runs on the host's kernel and real clock; isolated from the host's network."""

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
        module: str = "testbed.execution.inside",
        terminal: int | None = None,
        limits: Limits | None = None,
    ) -> Outcome:
        """See `Runtime.run`; seed and memory size apply only to guests."""
        if os.geteuid() != 0:
            raise MissingPrerequisiteError(
                "root", "sudo testbed run --runtime host ...", "the host runtime makes networks"
            )
        boot = f"/proc/self/fd/{guest_init.PROJECT_FD}/testbed/guest_init/boot.py"
        argv = [_PYTHON, "-sSP", boot, "host", module]
        with copied(PROJECT, module) as project, copied_libraries() as site:
            return launch.run(
                launch.Job(argv, guest_init.ENVIRONMENT, project, site, network=True),
                scenario_dir,
                wall_limit_s=wall_limit_s,
                cpu=cpu,
                on_progress=on_progress,
                stop=stop,
                terminal=terminal,
                limits=limits,
            )
