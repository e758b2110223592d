"""What the documentation says is true: links, paths, commands, snippets, generated parts."""

import ast
import re
import shlex
import textwrap
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from unittest import mock

import click
import pytest

import testbed
from testbed import daemons, docs
from testbed.author import experiment, named_topologies
from testbed.book import reference, words
from testbed.cli.main import cli
from testbed.core.errors import ConfigError
from testbed.core.project import PROJECT

PAGES = sorted(docs.pages())
NAMES = [str(page.relative_to(PROJECT)) for page in PAGES]
every_page = pytest.mark.parametrize("page", PAGES, ids=NAMES)

LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.M | re.S)
OUR_PATH = re.compile(
    r"`((?:testbed|topologies|experiments|controller|analysis|tests|bench|docs|scripts|patches)"
    r"/[\w./-]+)`"
)


WRITTEN = {
    **{p.stem: str(p) for p in sorted((PROJECT / "docs/examples").glob("*.py"))},
    "echo": "icmp",
}
"""Experiments that a page has its reader write → what stands for them here."""


def slug(heading):
    """A heading's anchor, as MkDocs and GitHub make it."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")


def anchors(text):
    return {slug(line.lstrip("#")) for line in text.splitlines() if line.startswith("#")}


def broken_links(page, text):
    for target, anchor in LINK.findall(text):
        path = (page.parent / target).resolve() if target else page
        if not path.exists():
            yield target
        elif anchor and anchor not in anchors(path.read_text(encoding="utf-8")):
            yield f"{target}#{anchor}"


def prose(text):
    return FENCE.sub("", text)


@every_page
def test_links_lead_somewhere(page):
    assert not list(broken_links(page, prose(page.read_text(encoding="utf-8"))))


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One thing\n[a](page.md#one-thing) [b](gone.md) [c](#other) [d](#one-thing)\n"
    )
    assert list(broken_links(page, page.read_text())) == ["gone.md", "#other"]


@every_page
def test_paths_are_there(page):
    named = OUR_PATH.findall(page.read_text(encoding="utf-8"))
    places = (PROJECT, PROJECT / "testbed" / "machine" / "kernel")
    missing = [n for n in named if not any((place / n).exists() for place in places)]
    written = {*WRITTEN, "NAME"}
    assert {n for n in missing if written.isdisjoint([*Path(n).parts, Path(n).stem])} == set()


@every_page
def test_python_snippets_are_python(page):
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            ast.parse(textwrap.dedent(code))


def test_the_tutorial_quotes_its_examples_as_they_are():
    examples = (PROJECT / "docs/examples").glob("*.py")
    example = "\n".join(p.read_text(encoding="utf-8") for p in examples)
    tutorial = (PROJECT / "docs/tutorial.md").read_text(encoding="utf-8")
    quoted = [code for language, code in FENCE.findall(tutorial) if language == "python"]
    quoted = [code for code in quoted if not code.startswith("import testbed")]
    assert quoted and all(code in example for code in quoted)


def test_both_tutorials_show_the_same_output():
    shown = {}
    for page in ("docs/tutorial.md", "docs/zh/tutorial.md"):
        text = (PROJECT / page).read_text(encoding="utf-8")
        shown[page] = {line for line in text.splitlines() if re.match(r"(PASS|FAIL) {2,}", line)}
    assert (
        shown["docs/zh/tutorial.md"] and shown["docs/zh/tutorial.md"] <= shown["docs/tutorial.md"]
    )


# ---- commands


def commands_in(text):
    """Lines of code blocks and first cells that start one of our commands."""
    blocks = [body for language, body in FENCE.findall(text) if language in ("", "sh", "console")]
    indented = re.findall(r"^    (\S.*)$", prose(text), re.M)
    cells = re.findall(r"^\| `((?:testbed|make) [^`]*)`", text, re.M)
    for line in [*(x for b in blocks for x in b.splitlines()), *indented, *cells]:
        found = re.match(r"(?:\$ )?(?:sudo )?(?:\.venv/bin/)?((?:testbed|make) .*)", line.strip())
        if found:
            yield found[1].split("  #")[0].strip()


def bad_command(line):
    """Why a command line is wrong; None if it is right. Runs nothing."""
    program, *arguments = (WRITTEN.get(word, word) for word in shlex.split(line))
    if any(re.search(r"[A-Z<…]", a) for a in arguments if "=" not in a):
        return None  # a placeholder such as NAME
    if program == "make":
        return bad_make(arguments)
    if "→" in arguments:
        return None
    try:
        with mock.patch.object(click.Command, "invoke", lambda *_: None):
            cli.main(list(arguments), "testbed", standalone_mode=False)
    except (click.ClickException, ConfigError) as error:
        return str(error)
    return None


def bad_make(arguments):
    makefile = (PROJECT / "Makefile").read_text()
    targets = {t for line in re.findall(r"^([\w%. -]+):", makefile, re.M) for t in line.split()}
    for target in (a for a in arguments if "=" not in a):
        name = target.removeprefix("exp-").removeprefix("sweep-")
        if name != target and name != "NAME":
            if name not in experiment.experiment_files():
                return f"no experiment {name}"
            command = "sweep" if target.startswith("sweep-") else "run"
            options = cli.get_command(None, command).get_command(None, name).params
            given = {a.split("=")[0].lower() for a in arguments if "=" in a}
            wrong = given - {option.name for option in options}
            if wrong:
                return f"no parameters {wrong}"
        elif not any(fnmatch(target, known.replace("%", "*")) for known in targets):
            return f"no target {target}"
    return None


def named_fingerprints(text: str) -> list[str]:
    """Fingerprints that a text gives, or parts of them."""
    return re.findall(r"(?:fingerprint|指纹)\W+([0-9a-f]{8,64})\b", text, re.IGNORECASE)


@every_page
def test_no_page_names_a_fingerprint(page):
    """It is that of the reader's kernel and versions of programs: nobody else's would be right."""
    assert not named_fingerprints(page.read_text(encoding="utf-8"))


def test_a_named_fingerprint_is_found():
    assert named_fingerprints("PASS\nfingerprint ed26596e81f9ecd1  seed 1") == ["ed26596e81f9ecd1"]
    assert not named_fingerprints("fingerprint …  seed 1; a fingerprint differs")


@every_page
def test_commands_are_understood(page):
    text = page.read_text(encoding="utf-8")
    wrong = {line: why for line in commands_in(text) if (why := bad_command(line))}
    assert not wrong


@pytest.mark.parametrize(
    "line",
    [
        "make exp-congestoin",
        "make tset",
        "make exp-congestion RATE=50",
        "make sweep-congestion RATE=50,60",
        "make sweep-congestoin SEEDS=1..5",
        "testbed sweep congestion --rate 50,60",
        "testbed run congestion --rate 50",
        "testbed lits",
    ],
)
def test_a_wrong_command_is_found(line):
    assert bad_command(line)


# ---- generated parts


def test_the_readme_describes_experiments_as_they_are():
    """A new experiment or handout that is not there yet is `make lint`'s affair."""
    page = PROJECT / "README.md"
    rows = unlinked(docs.experiments_table(page))
    part = docs._PART.search(page.read_text(encoding="utf-8"))
    assert unlinked(part[0]) - rows <= set(part[0].splitlines()[:1] + part[0].splitlines()[-1:])


def unlinked(table):
    return {re.sub(r"\[(\w+)\]\([^)]*\)", r"\1", line) for line in table.splitlines()}


def test_a_stale_page_is_found_and_mended(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(docs, "PROJECT", tmp_path)
    monkeypatch.setattr(words, "CATALOGUE", tmp_path / "messages.po")
    words.CATALOGUE.write_text("")
    page = tmp_path / "README.md"
    page.write_text("# A\n<!-- generated: experiments -->\nold\n<!-- end -->\nafter\n")
    assert docs.main(["--check"]) == 1
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    text = page.read_text()
    assert 'msgid "still to come"' in words.CATALOGUE.read_text()
    assert "old" not in text and "| [congestion](" in text and text.endswith("after\n")


def test_an_unknown_part_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'experiments'"):
        docs.generated(Path("x.md"), "<!-- generated: experiment -->\n<!-- end -->\n")


# ---- the reference


def named_in_pages(word):
    """The words behind the generated parts of this name, of all pages."""
    for page in PAGES:
        for part in docs._PART.finditer(page.read_text(encoding="utf-8")):
            if part["name"] == word:
                yield from part["words"].split()


def defined(name):
    """Where a public name of `testbed` is defined; any other name as it is."""
    homes = {f"testbed.{n}": home for home, names in testbed._HOME.items() for n in names.split()}
    return f"testbed.{homes[name]}.{name.rpartition('.')[2]}" if name in homes else name


def used_names(text):
    """Dotted names of ours that a file imports; of a module, what it takes from it."""
    tree, modules = ast.parse(text), {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.level or not node.module:
            continue
        if node.module.split(".")[0] not in ("testbed", "analysis", "topologies"):
            continue
        for alias in node.names:
            name = defined(f"{node.module}.{alias.name}")
            if isinstance(reference._found(name), ModuleType):
                modules[alias.asname or alias.name] = name
            else:
                yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id, "")
            if module and hasattr(reference._found(module), node.attr):
                yield f"{module}.{node.attr}"


def told_names():
    names = set(reference.shown(*named_in_pages("api")))
    return names | {
        f"testbed.{place}"  # where these are imported from, too
        for name, place in (
            ("testbed.net.shape.LinkShape", "topo.LinkShape"),
            *((f"testbed.daemons.base.{n}", f"daemons.{n}") for n in daemons.__all__),
        )
        if name in names
    }


EXPERIMENTS = [*(PROJECT / "experiments").rglob("*.py"), *(PROJECT / "docs/examples").glob("*.py")]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: str(p.relative_to(PROJECT)))
def test_the_reference_has_all_that_an_experiment_takes(path, told=told_names()):  # noqa: B008
    used = set(used_names(path.read_text(encoding="utf-8")))
    drawn = {n for n in used if n.split(".")[1] in named_topologies.topology_files()}
    assert not {n for n in used - drawn if n not in told}


def test_what_the_reference_lacks_is_found():
    text = (
        "from testbed import LinkShape, steps\n"
        "from testbed.core import rundir\n"
        "from testbed.net.shape import nearest\n"
        "rundir.REPORT, steps.play"
    )
    assert set(used_names(text)) - told_names() == {
        "testbed.core.rundir.REPORT",
        "testbed.net.shape.nearest",
    }


def test_the_reference_is_readable_as_a_file():
    text = (PROJECT / "docs/reference/links.md").read_text(encoding="utf-8")
    row = "| `delay_ms` | `float` | `0.0` | one-way propagation delay. |"
    assert row in text
    assert reference.api("testbed.core.claims.near").count("| None = None,") == 2
    assert "- `ConvergenceError`: it is still running after `timeout_s`." in reference.api(
        "testbed.author.process.Process"
    )


def test_the_reference_is_the_same_on_every_machine():
    text = reference.api(
        "testbed.daemons.applications", "testbed.author.running_network.RunningNetwork"
    )
    assert "state: Callable[[], str] = ..." in text
    assert str(PROJECT) not in text and " at 0x" not in text


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match=r"no 'testbed\.author\.running_network\.Labb'"):
        reference.api("testbed.author.running_network.Labb")


# ---- licences


def test_every_dependency_has_its_licence_listed():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[<>=~\[; ]", requirement)[0].lower() for requirement in wanted}
    listed = (PROJECT / "docs" / "licences.md").read_text().lower()
    names -= {"network-testbed"}  # an extra that holds another
    assert not {n for n in names if not re.search(rf"\b{re.escape(n)}\b", listed)}


def test_the_licence_is_the_one_named():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["license"] == {"text": "GPL-2.0-or-later"}
    assert "Version 2, June 1991" in (PROJECT / "LICENSE").read_text()


def test_the_changelog_knows_the_version():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert f"## {project['version']}" in (PROJECT / "CHANGELOG.md").read_text()
