"""Plots: each function takes DataFrames and returns a Figure; none touches a file."""
