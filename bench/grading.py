"""Submissions graded per minute: solutions of labs, on one and more processors.

    python bench/grading.py [--students 12] [LAB...]

Prints, per lab and number of workers, submissions a minute of wall time, and (one worker) the
processor time of a submission. A class of 300 is the case to plan for: its time follows from these.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

from testbed.grading import classroom, library

SECRET = b"the secret of the bench"


def write_class(lab: library.LabFolder, students: int, folder: Path) -> None:
    """The solution of one variant per student."""
    for number in range(students):
        student = f"student{number:03}"
        own = folder / student
        own.mkdir(parents=True)
        for name, data in lab.solution(lab.variant(student, SECRET), student).items():
            (own / name).write_bytes(data)


def used_s() -> float:
    """Processor time of this process and of all that it waited for."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, both))


def measure(lab: library.LabFolder, students: int, workers: int) -> tuple[float, float]:
    """Wall time and processor time of grading a class, in s."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        write_class(lab, students, Path(scratch) / "in")
        sources = classroom.find([Path(scratch) / "in"], lab.manifest)
        out = Path(scratch) / "out"
        request = classroom.Request(lab, SECRET, sources, out, workers)
        began_s, cpu_s = time.perf_counter(), used_s()
        graded = classroom.grade_class(request)
        wall_s = time.perf_counter() - began_s
    wrong = [g.result.student for g in graded if g.result.points < g.result.of]
    if wrong:
        sys.exit(f"{lab.name}: solutions without all points: {', '.join(wrong)}")
    return wall_s, used_s() - cpu_s


def main() -> None:
    """Measures the labs named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labs", nargs="*", default=library.names())
    parser.add_argument("--students", type=int, default=12)
    given = parser.parse_args()
    students = given.students
    cores = len(os.sched_getaffinity(0))
    print(f"{students} students, {cores} processors")
    print("lab    workers  a minute  s of processor each  300 students")
    for name in given.labs:
        lab = library.open_lab(name)
        for workers in dict.fromkeys((1, max(1, cores // 2), cores)):
            wall_s, cpu_s = measure(lab, students, workers)
            rate = 60 * students / wall_s
            each = f"{cpu_s / students:.2f}" if workers == 1 else "-"  # else it is the workers'
            row = f"{name:6} {workers:7} {rate:9.1f} {each:>20} {300 / rate:8.0f} min"
            print(row, flush=True)


if __name__ == "__main__":
    main()
