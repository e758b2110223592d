"""HTML of a run: templates of its pages, and its view in a notebook's cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

_CODE = re.compile(r"`+([^`]+)`+")

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> jinja2.Template:
    """One of the templates."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"code": with_code, "date": date}
    return environment.get_template(name)


def with_code(text: str) -> Markup:
    """Text of a docstring, with what is between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def date(started: str) -> str:
    """``2026-01-31 12:00 UTC`` from a run's record."""
    return f"{started[:16].replace('T', ' ')} UTC" if started else ""


def cell(
    title: str = "",
    about: str = "",
    claims: Sequence[Mapping[Any, Any]] = (),
    pictures: Mapping[str, Any] | None = None,
) -> str:
    """A run's view in a notebook's cell.

    Args:
        title: the experiment's.
        about: one line below it.
        claims: one row each; the key ``verdict`` is shown in its colour.
        pictures: each with ``src`` and ``caption``, by name.
    """
    values = {"title": title, "about": about, "claims": claims, "figures": pictures or {}}
    return template("cell.html.j2").render(values)
