"""`python -m tinynet` is the command line."""

from tinynet.cli import main

main()
