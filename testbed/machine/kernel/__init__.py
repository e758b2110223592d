"""The guest kernel: how it is built and found."""

from testbed.machine.kernel.builder import BuildProgress, build
from testbed.machine.kernel.store import BUILD_COMMAND, GuestKernel, find, find_packaged

__all__ = ["BUILD_COMMAND", "BuildProgress", "GuestKernel", "build", "find", "find_packaged"]
