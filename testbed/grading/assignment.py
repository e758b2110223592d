"""What a lab's Python file contains: an experiment with a student's variant as its parameters.

class Lab(Assignment):
    '''RIP between three routers.'''

    @dataclass(frozen=True)
    class Parameters:
        lan: int = param(10, "second byte of all LANs", low=1, high=254)

    @classmethod
    def variant(cls, random): return {"lan": random.integer(1, 254)}

    def topology(self): ...
    def run(self, net): ...          # in the guest; `self.submission` holds the accepted files
    def measure(self, data): ...
    @claim("…", source="…")
    def ...(self, tables): ...       # a check, named in lab.yaml
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from testbed.author.experiment import Experiment
from testbed.grading.answers import Answers
from testbed.grading.submission import FOLDER, Submission
from testbed.grading.variants import SeededRandom

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork


class Assignment(Experiment):
    """Base of all labs. `self.params` is the student's variant, `self.submission` their work."""

    memory_mb: ClassVar[int] = 256
    secret_files: ClassVar[tuple[str, ...]] = ()
    """Patterns of files and folders in a scenario's folder that are removed after measuring: they
    would tell students what hidden checks look at, as do logs and output of programs that saw it.
    """
    submission: Submission
    """What was handed in and accepted."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.submission = Submission(Path(FOLDER))  # in a guest: of the folder it works in

    def ended(self, net: RunningNetwork) -> None:
        """Keeps what students' programs left in their output folders."""
        from testbed.grading import sandbox

        sandbox.collect(net.path)

    @property
    def answers(self) -> Answers:
        """The answers in the file of kind ``answers``; empty if there is no such file."""
        return Answers(self.submission.answers)

    @classmethod
    def variant(cls, random: SeededRandom) -> Mapping[str, Any]:
        """Values of parameters that differ between students; by default none."""
        return {}
