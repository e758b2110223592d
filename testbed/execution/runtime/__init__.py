"""Where a run's network lives: `choose` gives a runtime, its `run` does the rest."""

from __future__ import annotations

import os
import platform

from testbed.core.errors import ConfigError, MissingPrerequisiteError, nearest
from testbed.execution.runtime.guest import GuestRuntime
from testbed.execution.runtime.host import HostRuntime
from testbed.execution.runtime.outcome import (
    Clock,
    KernelInfo,
    OnProgress,
    Outcome,
    Progress,
    Runtime,
)
from testbed.machine import kernel
from testbed.machine.image import choice
from testbed.machine.image.store import Image

__all__ = [
    "Clock",
    "KernelInfo",
    "OnProgress",
    "Outcome",
    "Progress",
    "Runtime",
    "choose",
    "image_of",
]

_NAMES, _CLOCKS = ("auto", "guest", "host"), ("virtual", "real")


def choose(name: str = "auto", *, clock: str = "virtual", image: str = "") -> Runtime:
    """The runtime asked for, or the best one this machine and user can have.

    Args:
        name: `auto`, `guest` or `host`.
        clock: `virtual` where there is one, or `real`. The result's `clock` tells.
        image: see `choice.choose`; the host runtime has no use for one.

    Raises:
        ConfigError: unknown name, clock or image.
        MissingPrerequisiteError: none can be had, or not the one asked for.
    """
    for option, value, allowed in (("runtime", name, _NAMES), ("clock", clock, _CLOCKS)):
        if value not in allowed:
            known = f"allowed: {', '.join(allowed)}{nearest(value, allowed)}"
            raise ConfigError(f"--{option}: {value!r} is unknown; {known}")
    if name == "host":
        if image not in {"", "auto", "none"}:
            raise ConfigError(f"--image {image}: only a guest runs from an image; --runtime guest")
        return _host("asked for")
    held, why = choice.choose(image)
    if held is not None:
        return _from_image(held, clock, why)
    found = _guest(clock)
    if found is not None:
        return found
    if name == "auto" and os.geteuid() == 0:
        return _host(f"{_why_no_guest()}; the host's kernel and its real clock serve")
    raise MissingPrerequisiteError("the guest kernel", kernel.BUILD_COMMAND, _why_no_guest())


def image_of(runtime: Runtime) -> Image | None:
    """The image that a runtime runs from; None: the host's programs."""
    return runtime.image if isinstance(runtime, GuestRuntime) else None


def _host(why: str) -> HostRuntime:
    if os.geteuid() != 0:
        raise MissingPrerequisiteError("root", "sudo -E testbed run ...", "the host runtime")
    return HostRuntime(why=why)


def _from_image(image: Image, clock: str, why: str) -> GuestRuntime:
    if platform.machine() != "x86_64":
        raise ConfigError(f"image {image.id}: is for x86-64; this is {platform.machine()}")
    kernel_in = image.kernel
    info: KernelInfo = {"version": kernel_in.version, "sha256": kernel_in.sha256}
    known: Clock = "virtual" if clock == "virtual" else "real"
    return GuestRuntime(kernel_in.path, known, info, f"image {image.id}: {why}", image)


def _guest(clock: str) -> GuestRuntime | None:
    built = kernel.find()
    if built is not None:
        info: KernelInfo = {"version": built.version, "sha256": built.sha256}
        if clock == "virtual":
            why = "the guest kernel is built: no root needed; programs are the host's"
            return GuestRuntime(built.path, "virtual", info, why)
        return GuestRuntime(built.path, "real", info, "the real clock was asked for")
    packaged = kernel.find_packaged()
    if packaged is None:
        return None
    why = f"our guest kernel is not built, so Debian's serves, real clock ({kernel.BUILD_COMMAND})"
    info = {"version": packaged.version, "sha256": packaged.sha256}
    return GuestRuntime(packaged.path, "real", info, why)


def _why_no_guest() -> str:
    if platform.machine() != "x86_64":
        return f"there is no guest kernel for {platform.machine()}"
    return "the guest kernel is not built"
