"""Captures, kernel events and tables to DataFrames, numbers and figures.

Imports neither Mininet nor pyroute2: everything here runs on a stored run directory.
"""
