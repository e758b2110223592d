"""Hooks of MkDocs: pages made from the code, from runs, and from files above this folder."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from testbed import claims, data, experiment, lab, shape, topologies
from testbed.cli.main import cli
from testbed.daemons import base as daemons
from testbed.parameters import parameters_of
from testbed.rundir import RUN, VERDICTS, RunDir, default_runs, read_json

PROJECT = experiment.PROJECT
ABOVE = {
    "README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md",
    "README.zh.md": "zh.md",
}  # fmt: skip
"""Files of the project's root → their pages."""

PARTS = (
    experiment.Experiment, lab.Lab, lab.Process, data.ScenarioData, claims.claim, claims.Verdict,
    claims.Evidence, claims.near, claims.at_least, claims.at_most, claims.between, claims.holds,
    claims.all_of, shape.LinkShape, daemons.Daemon, daemons.start,
)  # fmt: skip
"""What an experiment's author uses, in the order of need."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    for name, text in made_pages().items():
        if (there := files.get_file_from_path(name)) is not None:
            files.remove(there)
        files.append(File.generated(config, name, content=text))
    for name, path in figures():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def made_pages() -> dict[str, str]:
    """Page → its Markdown."""
    pages = {page: above(name) for name, page in ABOVE.items() if (PROJECT / name).is_file()}
    pages["reference/commands.md"] = "# Commands\n\n" + "\n".join(commands(cli, "testbed"))
    pages["reference/experiment.md"] = interface()
    pages["reference/topologies.md"] = topologies_page()
    for name in experiment.experiment_files():
        pages[f"experiments/{name}.md"] = experiment_page(name)
    pages["experiments/index.md"] = experiments_index()
    return pages


def above(name: str) -> str:
    """A page from the project's root, its links as they are seen from here."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    text = re.sub(r"\]\(docs/", "](", text)
    for file, page in ABOVE.items():
        text = text.replace(f"]({file}", f"]({page}")
    return text.replace("[LICENSE](LICENSE)", "`LICENSE`")


# ---- reference


def commands(command: click.Command, path: str) -> Iterator[str]:
    """Help of a command and of those below it; of the experiments one, they differ little."""
    context = click.Context(command, info_name=path, max_content_width=88)
    level = "#" * (2 + path.count(" "))
    yield f"{level} `{path}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        names = command.list_commands(context)
        for name in names if command.name != "run" else ["congestion"]:
            below = command.get_command(context, name)
            if below is not None:
                yield from commands(below, f"{path} {name}")


def interface() -> str:
    """What an experiment's author calls and overrides."""
    words = ["# Interface of experiments", "", "Made from the docstrings of `testbed`.", ""]
    for part in PARTS:
        words += [f"## `{part.__name__}`", "", *described(part)]
        if inspect.isclass(part):
            for name, member in vars(part).items():
                shown = member.fget if isinstance(member, property) else member
                if not name.startswith("_") and inspect.isfunction(shown) and shown.__doc__:
                    words += [f"### `{part.__name__}.{name}`", "", *described(shown)]
    return "\n".join(words)


def described(part: Any) -> list[str]:
    """Signature and docstring, word for word."""
    shown = textwrap.dedent(inspect.getdoc(part) or "")
    words: list[str] = []
    if inspect.isfunction(part):
        words = ["```python", f"{part.__name__}{inspect.signature(part)}", "```", ""]
    return [*words, "```text", shown, "```", ""]


def topologies_page() -> str:
    """Every topology's drawing in characters, and its arguments."""
    words = [
        "# Topologies",
        "",
        "`testbed draw NAME` draws one, `testbed shell NAME` starts it.",
        "",
    ]
    for name in topologies.topology_files():
        cls = topologies.topology_class(name)
        words += [f"## `{name}`", "", f"Arguments: `{topologies.usage(cls) or 'none'}`", ""]
        words += ["```text", (inspect.getdoc(cls) or "").replace("\n::\n", ""), "```", ""]
    return "\n".join(words)


# ---- the book


def experiments_index() -> str:
    """All experiments, and how their latest runs ended."""
    words = ["# Experiments", "", "| experiment | what it shows | claims | latest run |"]
    words += ["| --- | --- | --- | --- |"]
    for name in experiment.experiment_files():
        cls, run = experiment.load(name), latest(name)
        counts: dict[str, int] = {}
        for row in read_json(run.path / VERDICTS) if run else []:
            counts[row["status"]] = counts.get(row["status"], 0) + 1
        told = ", ".join(f"{n} {status}" for status, n in counts.items()) or "none here"
        words.append(f"| [{name}]({name}.md) | {cls.title()} | {len(cls.claims())} | {told} |")
    return "\n".join(words) + "\n"


def experiment_page(name: str) -> str:
    """What an experiment does and claims, its handout, and what its latest run here showed."""
    cls, run = experiment.load(name), latest(name)
    text = (inspect.getdoc(cls) or "").split("\n", 1)
    handout = PROJECT / "docs" / "experiments" / f"{name}.md"
    words = [f"# {name}", "", f"*{text[0]}*", "", *text[1:], ""]
    if handout.is_file():
        words += [below_title(handout.read_text(encoding="utf-8")), ""]
    words += ["## What it claims", "", *claim_rows(cls, run)]
    if run is not None:
        meta = run.meta()
        words += ["", "## Figures", ""]
        words += [f"![{path.stem}](figures/{name}/{path.name})\n" for path in plots(run)]
        words += [
            f"Made from run `{run.path.name}`: {meta['runtime']} runtime, {meta['clock']} clock,"
        ]
        words += [f"seed {meta['seed']}, fingerprint `{str(meta.get('fingerprint', ''))[:16]}`."]
    words += ["", "## Parameters", "", "| option | default | allowed | meaning |"]
    words += ["| --- | --- | --- | --- |"]
    for p in parameters_of(cls.Parameters):
        default = ",".join(map(str, p.default)) if isinstance(p.default, tuple) else p.default
        words.append(f"| `{p.option}` | {default} {p.spec.unit} | {p.allowed} | {p.spec.help} |")
    return "\n".join(words) + "\n"


def claim_rows(cls: Any, run: RunDir | None) -> Iterable[str]:
    """A row a claim; with verdict and numbers where there is a run."""
    verdicts = {v["claim"]: v for v in read_json(run.path / VERDICTS)} if run else {}
    yield "| sentence | source | verdict | observed | expected |"
    yield "| --- | --- | --- | --- | --- |"
    for c in cls.claims():
        v = verdicts.get(c.name, {})
        numbers = [v.get(k, "") for k in ("status", "observed", "expected")]
        yield "| " + " | ".join(cell(x) for x in (c.sentence, c.source, *numbers)) + " |"


def cell(text: str) -> str:
    """Text in a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def below_title(text: str) -> str:
    """A page's text without its first heading."""
    return re.sub(r"\A# .*\n", "", text)


def latest(name: str) -> RunDir | None:
    """The newest complete run of an experiment with all its scenarios, if there is one."""
    found = []
    for path in sorted(default_runs().glob(f"{name}-*/{RUN}")):
        run = RunDir(path.parent)
        meta = run.meta()
        cls = experiment.load(name)
        whole = set(cls(cls.Parameters()).scenarios()) == set(meta["scenarios"])
        if meta["status"] == "complete" and whole and (run.path / VERDICTS).is_file():
            found.append(run)
    return found[-1] if found else None


def plots(run: RunDir) -> list[Path]:
    """A run's figures."""
    return sorted([*run.plots.glob("*.png"), *run.plots.glob("*.svg")])


def figures() -> Iterator[tuple[str, Path]]:
    """Figures of the latest runs: place in the site → file."""
    for name in experiment.experiment_files():
        run = latest(name)
        for path in plots(run) if run else []:
            yield f"experiments/figures/{name}/{path.name}", path


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Puts all experiments into the navigation."""
    listed = [f"experiments/{name}.md" for name in experiment.experiment_files()]
    for section in config.nav or []:
        if isinstance(section, dict) and "Experiments" in section:
            section["Experiments"] = ["experiments/index.md", *listed]
    return config
