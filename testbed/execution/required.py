"""Programs and Python packages that an experiment's run needs."""

from __future__ import annotations

from collections.abc import Sequence

from testbed.author.experiment import Experiment
from testbed.core.errors import MissingPrerequisiteError
from testbed.execution import extras
from testbed.execution.provenance import which
from testbed.machine.image.store import Image
from testbed.machine.prerequisites import install_command

_ALWAYS = ("tcpdump",)


def check(cls: type[Experiment], programs: Sequence[str], image: Image | None) -> None:
    """Raises if a program or Python package is not where the run will look for it.

    Args:
        cls: the experiment.
        programs: names of the programs that it runs.
        image: where the run takes them from; None: from the host.

    Raises:
        MissingPrerequisiteError: the first that is missing, with the command that mends it.
    """
    for program in (*_ALWAYS, *programs):
        if image is not None:
            if image.which(program) is None:
                raise MissingPrerequisiteError(
                    program, f"testbed run {cls.name} --image none", f"not in image {image.id}"
                )
        elif which(program) is None:
            raise MissingPrerequisiteError(program, install_command(program))
    if image is None:  # an image has them all
        extras.require(cls.extras, f"the experiment {cls.name} needs it")
