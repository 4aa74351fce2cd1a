"""Hydra's own main, run on a command line: it composes, and prints where a flag asks for it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import hydra
from hydra.errors import HydraException
from omegaconf import DictConfig

from transferlab.config.config_files import config_root, store_domains
from transferlab.config.hydra_errors import in_one_line
from transferlab.config.hydra_parts import only_hydras_own
from transferlab.config.overrides import CommandLine, flags_in_words
from transferlab.errors import Refusal


def run_hydra(root: str, line: CommandLine, collect: Callable[[DictConfig, Mapping[str, DictConfig]], None]) -> None:
    """Runs Hydra's own main on a command line with every error it reports turned into a Refusal."""
    if "--hydra-help" in line.flags:
        print(flags_in_words())
        return
    refusals: list[Refusal] = []
    faults: list[Exception] = []

    def quietly(config: DictConfig) -> None:
        # Hydra would print a job's exception in its own words.
        try:
            collect(config, domains)
        except Refusal as refusal:
            refusals.append(refusal)
        except Exception as error:
            faults.append(error)

    domains = store_domains([config_root(), *([line.config_dir] if line.config_dir else [])])
    with (
        _scratch_folder() as scratch,
        _as_hydra_expects([*line.flags, *line.overrides, f"hydra.sweep.dir={scratch}"]),
        only_hydras_own(),
    ):
        try:
            hydra.main(version_base="1.3", config_path=str(config_root()), config_name=root)(quietly)()
        except SystemExit as end:  # Hydra's, behind --help
            if end.code:
                raise
        except Refusal:
            raise
        except Exception as error:  # of any kind: Hydra asserts, and takes attributes of what isn't there
            if isinstance(error, OSError) and not isinstance(error, HydraException) and error.filename is None:
                raise  # of stdout, whose reader may have gone
            raise Refusal(in_one_line(error, root, line)) from None
    if faults:
        raise faults[0]
    if refusals:
        raise refusals[0]


@contextmanager
def _scratch_folder() -> Generator[str]:
    """Where Hydra writes what it writes of a sweep."""
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        reason = f"no temporary folder can be written ({error.strerror or error})"
        raise Refusal(f"{reason}; make room, or set TMPDIR to a folder with room") from None
    with folder as name:
        yield name


@contextmanager
def _as_hydra_expects(arguments: Sequence[str]) -> Generator[None]:
    before = sys.argv
    sys.argv = [before[0], *arguments]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra prints its errors and exits by itself
    try:
        yield
    finally:
        sys.argv = before
