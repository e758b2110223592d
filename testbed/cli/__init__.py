"""The `testbed` command, one module per group of commands. It only shows results."""
