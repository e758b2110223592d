"""What experiments are written with; authors import it from `testbed` itself."""
