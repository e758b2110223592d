"""Where a run's network runs: `choose` returns a runtime, whose `run` does the rest."""

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
    """The requested runtime, or the best one available to this user on this machine.

    Args:
        name: `auto`, `guest` or `host`.
        clock: `virtual` where available, or `real`. See the result's `clock`.
        image: see `choice.choose`; the host runtime does not use one.

    Raises:
        ConfigError: unknown name, clock or image.
        MissingPrerequisiteError: none is available, or not the requested one.
    """
    for option, value, allowed in (("runtime", name, _NAMES), ("clock", clock, _CLOCKS)):
        if value not in allowed:
            known = f"allowed: {', '.join(allowed)}{nearest(value, allowed)}"
            raise ConfigError(f"--{option}: {value!r} is unknown; {known}")
    if name == "host":
        if image not in {"", "auto", "none"}:
            raise ConfigError(f"--image {image}: only guests use an image; add --runtime guest")
        return _host("asked for")
    held, why = choice.choose(image)
    if held is not None:
        return _from_image(held, clock, why)
    found = _guest(clock)
    if found is not None:
        return found
    if name == "auto" and os.geteuid() == 0:
        return _host(f"{_why_no_guest()}, so the network runs on the host's kernel and real clock")
    raise MissingPrerequisiteError("the guest kernel", kernel.BUILD_COMMAND, _why_no_guest())


def image_of(runtime: Runtime) -> Image | None:
    """The image that a runtime uses; None: the host's programs."""
    return runtime.image if isinstance(runtime, GuestRuntime) else None


def _host(why: str) -> HostRuntime:
    if os.geteuid() != 0:
        raise MissingPrerequisiteError("root", "sudo -E testbed run ...", "the host runtime")
    return HostRuntime(why=why)


def _from_image(image: Image, clock: str, why: str) -> GuestRuntime:
    if platform.machine() != "x86_64":
        raise ConfigError(
            f"image {image.id}: is for x86-64, but this machine is {platform.machine()}"
        )
    kernel_in = image.kernel
    info: KernelInfo = {"version": kernel_in.version, "sha256": kernel_in.sha256}
    known: Clock = "virtual" if clock == "virtual" else "real"
    return GuestRuntime(kernel_in.path, known, info, f"image {image.id}: {why}", image)


def _guest(clock: str) -> GuestRuntime | None:
    built = kernel.find()
    if built is not None:
        info: KernelInfo = {"version": built.version, "sha256": built.sha256}
        if clock == "virtual":
            why = "the guest kernel is built, so no root is needed; the programs are the host's"
            return GuestRuntime(built.path, "virtual", info, why)
        return GuestRuntime(built.path, "real", info, "the real clock was requested")
    packaged = kernel.find_packaged()
    if packaged is None:
        return None
    why = (
        "our guest kernel is not built, so Debian's is used, with the real clock "
        f"({kernel.BUILD_COMMAND})"
    )
    info = {"version": packaged.version, "sha256": packaged.sha256}
    return GuestRuntime(packaged.path, "real", info, why)


def _why_no_guest() -> str:
    if platform.machine() != "x86_64":
        return f"there is no guest kernel for {platform.machine()}"
    return "the guest kernel is not built"
