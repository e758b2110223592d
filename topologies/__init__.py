"""Topologies: one Mininet `Topo` per file."""
