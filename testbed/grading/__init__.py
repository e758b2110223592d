"""Grading: labs, their variants, hostile submissions, points and pages.

A lab is a folder under ``labs/`` (see CONTRIBUTING.md, "Adding a lab"); its checks are claims. What
runs in a guest (`assignment`, `submission`, `sandbox`, `inside`) imports little; the rest works
outside, from run directories and from files that are read as data.
"""

from testbed.grading.assignment import Assignment
from testbed.grading.variants import SeededRandom

__all__ = ["Assignment", "SeededRandom"]
