"""The `testbed` command, one module for each group of commands; it shows, others do."""
