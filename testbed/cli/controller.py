"""`testbed controller NAME`: run an OpenFlow application by hand, for any switch that connects."""

from __future__ import annotations

import os
import sys

import click

from testbed.core.errors import ConfigError, MissingPrerequisiteError, nearest
from testbed.core.project import PROJECT
from testbed.execution import extras

RYU_SITE = PROJECT / "build" / "ryu"
FRAMEWORKS = ("os_ken", "ryu")


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", required=False)
@click.argument("settings", nargs=-1, metavar="[name=value]...")
@click.option(
    "--listen", default="127.0.0.1:6653", show_default=True, help="Address to listen on, HOST:PORT."
)
@click.option(
    "--framework", type=click.Choice(FRAMEWORKS), default="os_ken", help="OpenFlow framework."
)
@click.option("--verbose", is_flag=True, help="Show the framework's own messages.")
def controller(
    name: str | None, settings: tuple[str, ...], listen: str, framework: str, verbose: bool
) -> None:
    """Run the OpenFlow application NAME from controller/ until Ctrl-C; without NAME, list them."""
    known = applications()
    if name is None:
        for found, title in known.items():
            click.echo(f"{found:18}{title}")
        return
    if name not in known:
        raise ConfigError(
            f"controller '{name}': unknown{nearest(name, known)}; known: {', '.join(known)}"
        )
    if framework == "ryu" and not RYU_SITE.is_dir():
        raise MissingPrerequisiteError("Ryu", "scripts/install-ryu.sh")
    if framework == "os_ken":
        extras.require(["controllers"])
    path = [str(PROJECT)] + [str(RYU_SITE)] * (framework == "ryu")
    environment = {
        **os.environ,
        "SDN_FRAMEWORK": framework,
        "PYTHONPATH": ":".join([*path, *filter(None, [os.environ.get("PYTHONPATH", "")])]),
    }
    argv = [sys.executable, "-m", "controller", name, "--listen", listen]
    os.execve(sys.executable, [*argv, *["--verbose"] * verbose, *settings], environment)


def applications() -> dict[str, str]:
    """Name → title of each application: files with a class of the file's name."""
    found = {}
    for path in sorted((PROJECT / "controller").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = path.stem.title().replace("_", "")
        if path.stem != "app" and f"\nclass {name}(" in text:
            found[path.stem] = text.splitlines()[0].strip('"')
    return found
