"""Runs one application: ``python -m controller NAME [--listen HOST:PORT] [name=value ...]``."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from pathlib import Path

_NO_APPS = {"app", "discovery", "frames", "framework", "rules", "settings"}


def names() -> list[str]:
    """The applications: every file of this package that is not a part of others."""
    files = Path(__file__).parent.glob("*.py")
    return sorted(f.stem for f in files if f.stem not in _NO_APPS and not f.stem.startswith("_"))


def main(argv: list[str] | None = None) -> None:
    """Loads the application and runs the framework until it is stopped."""
    parser = argparse.ArgumentParser(prog="python -m controller", description=__doc__)
    parser.add_argument("name", choices=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--listen", default="127.0.0.1:6653", help="default: %(default)s")
    parser.add_argument("--log", default="", help="file for the application's events (JSON lines)")
    parser.add_argument("--check", action="store_true", help="look at the settings, start nothing")
    parser.add_argument("--verbose", action="store_true", help="the framework's own messages")
    parser.add_argument("settings", nargs="*", metavar="name=value")
    options = parser.parse_intermixed_args(argv)

    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
    from controller import settings

    if options.log:
        try:
            with Path(options.log).open("a", encoding="utf-8"):
                pass
        except OSError as error:
            sys.stderr.write(f"error: --log {options.log}: cannot be written: {error.strerror}\n")
            sys.exit(3)
    settings.given.words, settings.given.log = tuple(options.settings), options.log
    module = importlib.import_module(f"controller.{options.name}")
    try:
        found = settings.parse(getattr(module, "Settings", settings.Nothing), options.settings)
        getattr(module, "check", lambda _: None)(found)
    except settings.SettingsError as error:
        sys.stderr.write(f"error: {options.name}: {error}\n")
        sys.exit(2)
    if options.check:
        return
    _serve(module.__name__, options.listen)


def _serve(module: str, listen: str) -> None:
    from controller.framework import NAME, app_manager, cfg

    importlib.import_module(f"{NAME}.controller.controller")  # it declares the options set here
    host, _, port = listen.rpartition(":")
    cfg.CONF([], project=NAME)
    cfg.CONF.set_override("ofp_listen_host", host)
    cfg.CONF.set_override("ofp_tcp_listen_port", int(port))
    manager = app_manager.AppManager.get_instance()
    try:
        manager.load_apps([module])
        services = manager.instantiate_apps(**manager.create_contexts())
        print(f"{module} on {NAME} listens on {listen}", flush=True)  # noqa: T201
        importlib.import_module(f"{NAME}.lib.hub").joinall(services)
    except KeyboardInterrupt:
        os._exit(0)
    except BaseException:  # noqa: BLE001 (this is the program's top level)
        # threads of the framework that started already would keep a dead controller alive
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


if __name__ == "__main__":
    main()
