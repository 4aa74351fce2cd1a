"""``python -m transferlab``: the same as the console script."""

from transferlab.cli import main

main()
