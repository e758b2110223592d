"""The workflow with which GitHub Classroom checks students' repositories; each holds a bundle."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from testbed.grading.library import LabFolder
from testbed.grading.result import points_text

PATH = ".github/workflows/classroom.yml"
"""Where a repository has it."""

_RESULT = "result.json"
_CHECKOUT = "actions/checkout@v4"
_GRADER = "classroom-resources/autograding-command-grader@v1"
_REPORTER = "classroom-resources/autograding-grading-reporter@v1"
_MINUTES = 20
_MAY_FAIL = (0, 1)
"""Exit codes of `testbed check` after which there are points to report; others are no grade."""

_HELD = (
    "import json, sys; checks = json.load(open('result.json'))['checks'];"
    " sys.exit(not any(c['name'] == sys.argv[1] and c['mark'] == 'PASS' for c in checks))"
)


def workflow(lab: LabFolder, testbed: str) -> str:
    """The workflow of a lab: one check of the repository, then one test per public check.

    Args:
        lab: the lab.
        testbed: the repository with the testbed, as owner/name.
    """
    manifest = lab.manifest.public()
    codes = " || ".join(f"test $? -eq {code}" for code in _MAY_FAIL if code)
    steps: list[dict[str, Any]] = [
        {"uses": _CHECKOUT},
        {"uses": _CHECKOUT, "with": {"repository": testbed, "path": "testbed"}},
        {
            "uses": "actions/cache@v4",
            "with": {"path": "~/.cache/network-testbed", "key": "testbed-${{ runner.os }}"},
        },
        {"name": "Set the testbed up", "run": "make -C testbed setup"},
        {
            "name": "Check",
            "run": f"testbed/.venv/bin/testbed check --trust --json > {_RESULT} || {codes}",
        },
        *(_step(name, manifest.points_of(name)) for name in manifest.checks),
    ]
    results = {f"{name.upper()}_RESULTS": _output(name) for name in manifest.checks}
    steps.append(
        {
            "name": "Report",
            "uses": _REPORTER,
            "env": results,
            "with": {"runners": ",".join(manifest.checks)},
        }
    )
    job = {"runs-on": "ubuntu-24.04", "timeout-minutes": _MINUTES, "steps": steps}
    data = {
        "name": lab.manifest.title,
        "on": ["push", "workflow_dispatch"],
        "permissions": {"checks": "write", "actions": "read", "contents": "read"},
        "jobs": {"check": job},
    }
    out = io.StringIO()
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 1000
    yaml.dump(data, out)
    return out.getvalue()


def _step(name: str, points: float) -> dict[str, Any]:
    return {
        "name": name,
        "id": name,
        "uses": _GRADER,
        "with": {
            "test-name": name,
            "command": f'python3 -c "{_HELD}" {name}',
            "timeout": 1,
            "max-score": float(points_text(points)),
        },
    }


def _output(name: str) -> str:
    return f"${{{{ steps.{name}.outputs.result }}}}"
