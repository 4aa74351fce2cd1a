"""``python -m transferlab``: the same as the console script."""

from transferlab.cli import main

if __name__ == "__main__":
    main()
