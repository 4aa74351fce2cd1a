"""Parses a command line: separates flags from overrides, and quotes values that Hydra's grammar can't read."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn, cast

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf

from transferlab.config.search_path import ROLES, config_root
from transferlab.errors import Refusal
from transferlab.system.console import say
from transferlab.text import printable

FLAGS: dict[tuple[str, ...], dict[str, Any]] = {
    ("--help", "-h"): {"action": "store_true", "help": "groups and keys"},
    ("--hydra-help",): {"action": "store_true", "help": "these flags"},
    ("--cfg", "-c"): {"choices": ("job", "hydra", "all"), "help": "print the composed config and stop"},
    ("--resolve",): {"action": "store_true", "help": "with --cfg: the values that interpolations stand for"},
    ("--run", "-r"): {"action": "store_true", "help": "one job; what happens without a flag"},
    ("--multirun", "-m"): {"action": "store_true", "help": "every combination of comma-separated values"},
    ("--config-dir", "-cd"): {"help": "a folder of your own configs, beside transferlab's"},
    ("--info", "-i"): {"nargs": "?", "const": "all", "help": "how Hydra found the configs"},
    ("--shell-completion", "-sc"): {"action": "store_true", "help": "what a shell asks for"},
}
"""Hydra's flags that are accepted. The others run pickled or foreign configs."""

KEY = re.compile(r"\+{0,2}[A-Za-z_][\w./@-]*")

TEXT_KEYS = re.compile(r"(^|\.)(name|path|weights|output_root)$")
"""Keys whose values are text, even where they look like numbers."""

ALLOW_OVERRIDE = re.compile(r"\+*allow_packages=")
"""For the command line alone: a config that could allow itself packages could run any code."""

LATE_CHECKED = re.compile(r"bridge\.|source\.[^.]+\.")
"""Keys that Hydra doesn't know, for a data set's options come with its name; ``config/roles.py`` checks them."""

MAX_JOBS = 10_000
"""Jobs of one sweep; all are composed before the first begins."""

MAX_WORD_LENGTH = 10_000
"""Characters of a word; no sensible one is longer, and Python reads no number of so many digits."""


def flags_in_words() -> str:
    """The text of ``--hydra-help``: each flag with its values and its purpose."""
    lines = [f"  {', '.join(names)} {'|'.join(options.get('choices', ()))}" for names, options in FLAGS.items()]
    return "\n".join(f"{line:38}{options['help']}" for line, options in zip(lines, FLAGS.values(), strict=True))


PRINTING = frozenset({"help", "hydra_help", "cfg", "info", "shell_completion"})

ALTERNATIVES = ("run", "multirun", "cfg", "info", "shell_completion")
"""Flags that each say what to do instead of the others."""


@dataclass(frozen=True)
class CommandLine:
    """The words after ``transferlab train`` or ``transferlab compare``, parsed.

    Attributes:
        flags: the given flags, by long name, with their values.
        overrides: as Hydra reads them.
        config_dir: the user's own folder of configs.
        allowed: the packages that the command line itself allows.
    """

    flags: Mapping[str, Any]
    overrides: list[str]
    config_dir: Path | None
    allowed: set[str]

    @property
    def prints(self) -> bool:
        """Whether a flag asks for a print instead of jobs."""
        return bool(PRINTING & set(self.flags))

    @property
    def several(self) -> bool:
        """Whether commas sweep."""
        return "multirun" in self.flags


def understood(arguments: Sequence[str]) -> CommandLine:
    """Parses the command line into the form that Hydra takes.

    Raises:
        Refusal: on an unknown flag, flags that contradict each other, a word that is no override, or a list of a
            group's options, of which Hydra would silently take the last.
    """
    for word in arguments:
        _refuse_odd(word)
    flags, words = _parsed(arguments)
    config_dir = None if flags.config_dir is None else Path(os.path.expanduser(flags.config_dir))  # noqa: PTH111 (~nobody stays)
    if config_dir is not None and not os.path.isdir(config_dir):  # noqa: PTH112 (a name too long for any folder is none)
        raise Refusal(f"--config-dir {flags.config_dir}: there is no such folder")
    given = {name: value for name, value in vars(flags).items() if value not in (None, False)}
    _refuse_contradictions(given)
    if flags.shell_completion:
        return CommandLine(given, words, config_dir, set())
    groups = {*ROLES, *(path.name for path in config_root().iterdir() if path.is_dir())}
    overrides = [_read(word, groups, several=flags.multirun) for word in words]
    _say_repeated(overrides)
    _refuse_too_many(overrides)
    for override in overrides:
        _refuse_foreign(override, groups)
    lines = [
        f"++{line}" if override.type is OverrideType.CHANGE and LATE_CHECKED.match(line) else line
        for override in overrides
        for line in [cast(str, override.input_line).lstrip("+" if override.get_key_element()[1:] in groups else "")]
    ]
    return CommandLine(given, lines, config_dir, _allowed(overrides))


def _refuse_contradictions(flags: Mapping[str, Any]) -> None:
    chosen = [f"--{name.replace('_', '-')}" for name in ALTERNATIVES if name in flags]
    if len(chosen) > 1 and "help" not in flags:
        raise Refusal(f"{' and '.join(chosen)}: only one of them can be given")
    if "resolve" in flags and "cfg" not in flags:
        raise Refusal("--resolve: shows values in a printed config; add --cfg job")


def _refuse_odd(word: str) -> None:
    if len(word) > MAX_WORD_LENGTH:
        raise Refusal(f"{word[:60]}…: {len(word)} characters; a word of the command line has at most {MAX_WORD_LENGTH}")
    if printable(word) != word:
        raise Refusal(f"{printable(word)}: holds a character that can't be seen, shown here as \\…; leave it out")


def _parsed(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.error = _refuse
    for names, options in FLAGS.items():
        parser.add_argument(*names, **options)
    parser.add_argument("overrides", nargs="*")
    flags, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        raise Refusal(_no_flag(unknown[0], arguments))
    words: list[str] = vars(flags).pop("overrides")
    if flags.info not in (None, "all", "config", "defaults", "defaults-tree", "plugins", "searchpath"):
        words, flags.info = [flags.info, *words], "all"
    return flags, words


def _refuse(message: str) -> NoReturn:
    raise Refusal(f"{message}. transferlab train --help lists groups and keys; --hydra-help, the flags")


def _no_flag(word: str, arguments: Sequence[str]) -> str:
    """The message for an unknown flag: how the key of that name is written, if there is such a key."""
    name, equals, value = word.lstrip("-").partition("=")
    key = name.replace("-", "_")
    groups = {*ROLES, "bridge", *(path.stem for path in config_root().iterdir())}
    if key.partition(".")[0] in groups | {str(top) for top in OmegaConf.load(config_root() / "train.yaml")}:
        after = list(arguments)[list(arguments).index(word) + 1 :][:1]
        if not equals and after and "=" not in after[0] and not after[0].startswith("-"):
            value = after[0]
        return f"{word}: no such flag; keys are written without dashes: {key}={value or '…'}"
    flags = [flag for names in FLAGS for flag in names if flag.startswith("--")]
    similar = difflib.get_close_matches(word.partition("=")[0], flags, n=1)
    hint = f" Did you mean {similar[0]}?" if similar else ""
    return f"{word}: no such flag.{hint} transferlab train --help lists groups and keys; --hydra-help, the flags"


def _read(word: str, groups: Collection[str], *, several: bool) -> Override:
    """One override, its value taken as text where Hydra's grammar can't read it.

    Args:
        word: one word of the command line.
        groups: keys whose values are names of files.
        several: whether commas separate values.
    """
    key, equals, value = word.partition("=")
    if word.startswith("~"):  # an option of a component may be taken away, where another component lacks it
        if "." in key and (override := _parse(word)):
            return override
        raise Refusal(f"{word}: a key can't be taken away; write {key.lstrip('~')}=… to change it")
    if not equals or not KEY.fullmatch(key):
        raise Refusal(f"{word}: can't be read; write key=value")
    as_text = f"{key}={','.join(map(quoted, value.split(',') if several else [value]))}"
    as_list = f"{key}=[{','.join(map(quoted, value[1:-1].split(',')))}]" if value[:1] + value[-1:] == "[]" else as_text
    override = _parse(word) or _parse(as_list) or _parse(as_text)
    if override is None:
        raise Refusal(f"{word}: can't be read; write key=value")
    is_group = key in groups
    if not is_group and not TEXT_KEYS.search(key):
        return override
    others = {int, float} if is_group or key == "bridge.path" else {int, float, list, dict}
    commas_belong = override.is_sweep_override() and not several and not is_group
    taken = commas_belong or others & {type(value) for value in _values(override)}
    return (_parse(as_text) or override) if taken else override


def _values(override: Override) -> list[Any]:
    """The override's value, or the values of its sweep if they are listed; empty if neither can be read."""
    try:
        return list(override.sweep_iterator()) if override.is_choice_sweep() else [override.value()]
    except HydraException:
        return []


def _parse(line: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(line)
    except (HydraException, RecursionError, ValueError):
        return None


def quoted(text: str) -> str:
    """``text`` as a quoted value of Hydra's grammar."""
    return QuotedString(text, Quote.double).with_quotes()


def _say_repeated(overrides: Sequence[Override]) -> None:
    """Says which value counts where a key is given more than once, as by a script that adds to fixed overrides."""
    given = Counter(override.get_key_element().lstrip("+") for override in overrides)
    last = {override.get_key_element().lstrip("+"): override.input_line for override in overrides}
    for key in [key for key, times in given.items() if times > 1]:
        say(f"{key} is given {given[key]} times; the last one counts: {last[key]}")


def _refuse_too_many(overrides: Sequence[Override]) -> None:
    jobs = 1
    for override in overrides:
        with suppress(HydraException, ValueError, AttributeError, TypeError):  # Hydra reports a sweep without values
            if override.is_sweep_override():
                jobs *= sum(1 for _ in islice(override.sweep_iterator(), MAX_JOBS + 1)) or 1
    if jobs > MAX_JOBS:
        raise Refusal(f"more than {MAX_JOBS} jobs in one sweep; divide it")


def _refuse_foreign(override: Override, groups: Iterable[str]) -> None:
    key = override.key_or_group
    if key in groups and not override.is_sweep_override() and not isinstance(override.value(), str | list):
        raise Refusal(f"{override.input_line}: expected the name of one of the group's options; --help lists them")
    if key in groups and isinstance(override.value(), list):
        names = ",".join(map(str, cast(list[Any], override.value())))
        several = {"source": f"; as one source, source=multi source.domains=[{names}]"}
        several["bridge"] = f"; to cross them in order, bridge.path=[{names}]"
        each = f"{override.input_line}: takes one name, not a list; to try each, write -m {key}={names}"
        raise Refusal(each + several.get(key, ""))


def _allowed(overrides: Sequence[Override]) -> set[str]:
    allowing = [override for override in overrides if ALLOW_OVERRIDE.match(cast(str, override.input_line))]
    values = chain.from_iterable(map(_values, allowing))
    return {str(name) for value in values if isinstance(value, list) for name in value}
