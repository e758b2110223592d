"""Mininet topologies on a Linux kernel whose clock the testbed owns."""

__version__ = "0.1.0"
