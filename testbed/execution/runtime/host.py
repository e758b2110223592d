"""The host runtime: the running kernel, in private namespaces. Needs root."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from testbed import guest_init
from testbed.core.errors import MissingPrerequisiteError
from testbed.core.project import PROJECT
from testbed.execution.runtime import launch
from testbed.execution.runtime.outcome import Clock, KernelInfo, Outcome, Watched
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
        module: str = "testbed.execution.inside",
        **watched: Unpack[Watched],
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
                **watched,
            )
