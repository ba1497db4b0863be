"""`python -m tinynet` and the command `tinynet`; Ctrl-C ends it quietly even while it is being imported."""

import sys


def main() -> None:
    """Import the command line and run it."""
    try:
        from tinynet.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
