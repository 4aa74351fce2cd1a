"""``python -m transferlab``: the same as the console script."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: before anything is imported that a file there could stand in for
    home = __spec__.origin.removesuffix("/transferlab/__main__.py") if __spec__ and __spec__.origin else ""
    if home not in sys.path:
        sys.path.append(home)  # a checkout that isn't installed: other processes must find it too

    from transferlab.cli import main

    main()
