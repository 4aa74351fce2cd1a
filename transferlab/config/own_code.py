"""Turns an exception of code that a config names into one line: the error, its file and its line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from transferlab.config.component import Component
from transferlab.config.signatures import OWN
from transferlab.errors import Interrupted, Refusal
from transferlab.text import printable

MAX_TEXT = 300
"""Characters shown of an exception's text."""


@contextmanager
def blamed(name: str, component: Component) -> Generator[None]:
    """A block that calls a component's code, which may be the user's.

    Args:
        name: how the config chose it, such as ``loss=mine``.
        component: whose code it is.

    Raises:
        Refusal: for any exception of that code, with file and line; a Refusal of its own stays as it is.
    """
    try:
        yield
    except (Refusal, KeyboardInterrupt, Interrupted):
        raise
    except BaseException as error:  # a panic in Rust code is no Exception
        raise Refusal(f"{name}: {failed(component, error)}") from error


def failed(component: Component, error: BaseException) -> str:
    """The component, what it raised, and where: in its own code or, if none of that ran, in a library's."""
    where = "" if is_ours(component) and isinstance(error, OSError) else where_in(component, error)
    return f"{component.target} failed: {_described(error)}{where}{_allow_hint(error)}"


def is_ours(component: Component) -> bool:
    """Whether this package defines the component."""
    return component.target.startswith(f"{OWN}.")


def _described(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "its text can't be made"
    if isinstance(error, MemoryError):
        return f"there isn't enough memory{f' ({text})' if text else ''}"
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    return printable(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def _allow_hint(error: BaseException) -> str:
    """A hint for a missing module that lies in the working directory and isn't allowed; else empty."""
    module = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    is_local = module and any((_working_folder() / name).exists() for name in (module, f"{module}.py"))
    return f"; it lies in the working directory: add {module} to allow_packages=[…]" if is_local else ""


def where_in(component: Component, error: BaseException) -> str:
    """File and line of the innermost frame in the component's package or below the working directory, else of any."""
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
    folders = [Path(folder).absolute() for folder in getattr(module, "__path__", [])]
    file = getattr(module, "__file__", None)
    in_package = any(path.is_relative_to(folder) for folder in folders)
    return in_package or (file is not None and path == Path(file).absolute())


def _is_in_this_package(path: Path) -> bool:
    return path.is_relative_to(Path(__file__).absolute().parent.parent)


def _shown(filename: str) -> str:
    path, working = Path(filename).absolute(), _working_folder()
    return printable(str(path.relative_to(working) if path.is_relative_to(working) else path))


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # removed
        return Path("/nowhere")
