"""Calls the providers of domains, and says in words what goes wrong in them."""

from __future__ import annotations

import json
import sys
import traceback
from functools import cache
from pathlib import Path

from transferlab.config.component import Component
from transferlab.domains.domain import Domain
from transferlab.errors import Interrupted, Refusal
from transferlab.text import printable

LONGEST = 300
"""Characters of an exception's text that a message repeats."""


def loaded(role: str, component: Component) -> Domain:
    """What the provider returns, asked once per process.

    Raises:
        Refusal: naming ``role`` and data set, if the provider refuses, fails in whatever way, or returns what isn't a
            domain; with the file and line of its code, where that isn't ours.
    """
    name = f"{role}={component.name}"
    try:
        domain = load(component.target, options_text(component))
    except Refusal as refusal:
        where = "" if _is_ours(component) else _where(refusal, component)
        raise Refusal(f"{name}: {refusal}{where}") from None
    except (KeyboardInterrupt, Interrupted):
        raise
    except BaseException as error:  # a panic of Rust's is no Exception
        where = "" if _is_ours(component) and isinstance(error, OSError) else _where(error, component)
        raise Refusal(f"{name}: {component.target} failed: {_told(error)}{where}{_beside(error)}") from error
    if not isinstance(domain, Domain):
        raise Refusal(f"{name}: {component.target} returned {type(domain).__name__}, not a Domain")
    return domain


@cache
def load(target: str, options: str) -> object:
    """What the function or class returns when it is given the options, which are JSON; once per process."""
    return Component(target, json.loads(options))()


def options_text(component: Component) -> str:
    """The options of a component as ``load`` takes them."""
    return json.dumps(component.options, sort_keys=True)


def _is_ours(component: Component) -> bool:
    return component.target.startswith("transferlab.")


def _told(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "its text can't be made"
    if isinstance(error, MemoryError):
        return f"there isn't enough memory{f' ({text})' if text else ''}"
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return printable(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _beside(error: BaseException) -> str:
    """What to write where a module is missed that lies in the working directory, and isn't allowed."""
    module = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    there = module and any((_working_folder() / name).exists() for name in (module, f"{module}.py"))
    return f"; it lies in the working directory: add {module} to allow_packages=[…]" if there else ""


def _where(error: BaseException, component: Component) -> str:
    """File and line of the innermost frame in the provider's package or below the working directory, else of any."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({_shown(error.filename)}, line {error.lineno})"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    own = [frame for frame in frames if _belongs(frame.filename, component)]
    frame = (own or frames or [None])[-1]
    if frame is None or (not own and isinstance(error, Refusal)):
        return ""
    return f" ({_shown(frame.filename)}, line {frame.lineno})"


def _belongs(filename: str, component: Component) -> bool:
    path = Path(filename).absolute()
    if "site-packages" not in path.parts and path.is_relative_to(_working_folder()) and not _is_in_this_package(path):
        return True
    module = sys.modules.get(component.module.partition(".")[0])
    places = [Path(place).absolute() for place in getattr(module, "__path__", [])]
    file = getattr(module, "__file__", None)
    return any(path.is_relative_to(place) for place in places) or (file is not None and path == Path(file).absolute())


def _is_in_this_package(path: Path) -> bool:
    return path.is_relative_to(Path(__file__).absolute().parent.parent)


def _shown(filename: str) -> str:
    path, here = Path(filename).absolute(), _working_folder()
    return printable(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # removed
        return Path("/nowhere")
