"""HTML of a run: templates of its pages, and its view in a notebook's cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).parent / "templates"


def template(name: str) -> jinja2.Template:
    """One of the templates."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template(name)


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
