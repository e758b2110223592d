"""Daemons that run in nodes: the contract (`base`) and one module for each kind."""

from testbed.daemons.base import Daemon, Place, Running, check, listens, start

__all__ = ["Daemon", "Place", "Running", "check", "listens", "start"]
