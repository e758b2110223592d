"""The command `testbed`: hears signals before it imports anything that takes long."""

import testbed.lifetime.early  # noqa: F401  # isort: skip
import sys

from testbed.lifetime import start


def main() -> None:
    """Entry point of `testbed`."""
    words = [word for word in sys.argv[1:] if word.isidentifier()]
    start.command(words[0] if words else "testbed", _command_line)


def _command_line() -> None:
    from testbed.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
