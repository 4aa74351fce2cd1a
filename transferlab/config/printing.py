"""Prints help, configs or Hydra's own information, where a flag asks for it instead of a run."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

from hydra._internal.hydra import Hydra
from omegaconf import OmegaConf

from transferlab.config.composer import Composer
from transferlab.config.interpolations import resolved
from transferlab.config.overrides import CommandLine, flags_in_words

ABOUT = {
    "train": """\
transferlab train: trains a strategy and its baselines over several seeds and compares them.

  transferlab train strategy=dann
  transferlab train strategy=adapt loss=mmd loss.weight=0.5 seeds=10
  transferlab train -m strategy=finetune,dan source=mnist5k,rendered_digits

Each data set is one file of the group domain, and serves as source=, target= and bridge=. Several:
  source=multi source.domains=[mnist5k,rendered_digits]
  bridge.path=[mnist5k,mnist5k_m], or bridge=auto bridge.pool=[mnist5k,mnist5k_m]
""",
    "compare": "transferlab compare: rebuilds every table from the result files under output_root.\n",
}
FOOTER = """\
-m tries every combination of comma-separated values; --cfg job prints the composed config and stops.
--hydra-help lists all flags."""


def print_asked(line: CommandLine, composer: Composer) -> None:
    """Prints what the line's flag asks for.

    Raises:
        Refusal: if the line's overrides make no config, or an interpolation to be resolved leads nowhere.
    """
    flags = line.flags
    if "hydra_help" in flags:
        print(flags_in_words())
    elif "help" in flags:
        print(_help(line, composer))
    elif flags.get("cfg") == "job":
        config = composer.compose(line.overrides).config
        shown = OmegaConf.create(resolved(config)) if "resolve" in flags else config
        print(OmegaConf.to_yaml(shown), end="")
    else:
        _print_hydras(line, composer)


def _help(line: CommandLine, composer: Composer) -> str:
    config = composer.compose(line.overrides).config
    groups = [f"{group}: {', '.join(names)}" for group, names in composer.groups().items()]
    keys = ["Keys (key=value), as they are without any override:", "", OmegaConf.to_yaml(config)]
    listed = ["Groups (group=option):", *groups, ""] if composer.root == "train" else []
    return "\n".join([ABOUT[composer.root], *listed, *keys, FOOTER])


def _print_hydras(line: CommandLine, composer: Composer) -> None:
    """Prints what Hydra says about itself and about how it found the configs."""
    program = Hydra(f"transferlab {composer.root}", composer.hydras)
    text = io.StringIO()
    with composer.refusing(line.overrides), redirect_stdout(text):
        if "cfg" in line.flags:
            program.show_cfg(composer.root, line.overrides, line.flags["cfg"], None, "resolve" in line.flags)
        elif "info" in line.flags:
            program.show_info(line.flags["info"], composer.root, line.overrides)
        else:
            program.shell_completion(composer.root, line.overrides)
    print(text.getvalue(), end="")
