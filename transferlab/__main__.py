"""``transferlab``, and ``python -m transferlab``, which is the same."""

import os
import sys  # and no more up here: Python has imported these two already


def main() -> None:
    """Runs the command line and exits. Before that, keeps files of the working directory from shadowing modules."""
    leave_out_working_directory()
    home = __spec__.origin.removesuffix("/transferlab/__main__.py") if __spec__ and __spec__.origin else ""
    if home not in sys.path:
        sys.path.append(home)  # a checkout that isn't installed: other processes must find it too

    from transferlab.cli import main

    main()


def leave_out_working_directory() -> None:
    """Takes the working directory off this process's search path and that of every Python process it starts.

    ``python -c``, by which multiprocessing starts its servers, puts it on the path, and so does an empty entry in
    ``PYTHONPATH``, such as ``PYTHONPATH=$PYTHONPATH:/x`` makes. A folder that ``PYTHONPATH`` names stays.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = [folder for folder in entries if folder]
    if named and len(named) < len(entries):
        os.environ["PYTHONPATH"] = os.pathsep.join(named)
    elif not named:
        os.environ.pop("PYTHONPATH", None)
    if len(entries) > 1 and "" in entries:
        working = os.getcwd()  # noqa: PTH109 (pathlib isn't imported yet)
        sys.path[:] = [folder for folder in sys.path if folder != working or folder in named]
    sys.path[:] = [folder for folder in sys.path if folder]


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # where python -m puts the working directory
    main()
