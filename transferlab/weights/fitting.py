"""Which tensors of a file are a network's: told by name and shape, whatever stands around them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from transferlab.weights.torch_file import Unread

PREFERRED = re.compile(r"(?:^|[._])(?:ema|teacher|encoder_q)(?:[._]|$)", re.IGNORECASE)
"""What is taken of several networks that fit alike: averaged weights, as timm takes; DINO's teacher, MoCo's query."""

Named = Mapping[str, Tensor | Unread]


@dataclass(frozen=True)
class Match:
    """Tensors of a file that may be a network's.

    Attributes:
        container: the keys that lead to them, joined by dots.
        prefix: how their names begin there.
        tensors: by their names without it.
        others: how many tensors beside them have other beginnings.
        fits: how many have the name and the shape of one of the network's.
        rivals: what else in the file fits as well.
    """

    container: str
    prefix: str
    tensors: Named
    others: int
    fits: int
    rivals: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Where in the file they are; empty if they are all there is."""
        return ".".join(name for name in (self.container, self.prefix.rstrip(".")) if name)


class Ambiguous(ValueError):
    """Several networks of one file fit alike, and nothing tells which is meant; the text names them."""


def containers(content: Any) -> dict[str, Named]:
    """Every mapping of names to tensors in a file's content, by the keys, and places in lists, that lead to it."""
    return dict(_containers(content, "", set()))


def _containers(content: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Named]]:
    if not isinstance(content, Mapping | list) or id(cast(object, content)) in seen:
        return
    seen.add(id(cast(object, content)))
    pairs = cast(Mapping[Any, Any], content).items() if isinstance(content, Mapping) else enumerate(content)
    items = {str(key): value for key, value in pairs}
    named = {key: one for key, one in items.items() if isinstance(one, Tensor) or is_tensor(one)}
    if named and isinstance(content, Mapping):
        yield path, named
    for key, value in items.items():
        yield from _containers(value, f"{path}.{key}".lstrip("."), seen)


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of a kind that isn't read."""
    return isinstance(value, Unread) and value.is_tensor


def modules(content: Any) -> list[str]:
    """The classes of the whole networks in a file's content."""
    return [one.origin for one in _values(content, set()) if isinstance(one, Unread) and one.is_module]


def _values(content: Any, seen: set[int]) -> Iterator[Any]:
    """Every value in a file's content, each once: the content may contain itself, or one value many times."""
    if id(content) in seen:
        return
    seen.add(id(content))
    yield content
    inner = cast(dict[Any, Any], content).values() if isinstance(content, dict) else content
    for value in inner if isinstance(content, dict | list) else ():
        yield from _values(value, seen)


def best_match(content: Any, wanted: Mapping[str, Tensor], renamed: Callable[[str], str]) -> Match | None:
    """The tensors that fit a network best, with what their names begin with beyond the network's own.

    Args:
        content: of a file.
        wanted: the network's tensors.
        renamed: from a name in the file to the one that it has today.

    Returns:
        None if nothing fits at all.

    Raises:
        Ambiguous: if others fit as well, have other values, and nothing in their names tells which is meant.
    """
    matches = [
        match
        for path, named in containers(content).items()
        for match in _matches(path, {renamed(name): one for name, one in named.items()}, wanted)
    ]
    most = max((match.fits for match in matches), default=0)
    if most == 0:
        return None
    alike = _distinct([match for match in matches if match.fits == most], wanted)
    if len(alike) == 1 or most < sized(wanted) / 2:  # in the second case it is refused, whichever it is
        return alike[0]
    preferred = [match for match in alike if PREFERRED.search(match.title)]
    titles = [match.title or "the outermost level" for match in alike]
    if len(preferred) != 1:
        raise Ambiguous(", ".join(titles))
    (chosen,) = preferred
    rivals = tuple(title for title, match in zip(titles, alike, strict=True) if match is not chosen)
    return Match(*(chosen.container, chosen.prefix, chosen.tensors, chosen.others, chosen.fits), rivals=rivals)


def sized(tensors: Mapping[str, Tensor]) -> int:
    """How many of them are more than a single number: counters fit anywhere."""
    return sum(one.dim() > 0 for one in tensors.values())


def _matches(path: str, named: Named, wanted: Mapping[str, Tensor]) -> Iterator[Match]:
    counts: Counter[str] = Counter()
    for name, one in named.items():
        for begin in _begins(name):
            there = wanted.get(name[len(begin) :])
            if there is not None and there.dim() and isinstance(one, Tensor) and one.shape == there.shape:
                counts[begin] += 1
    for begin, count in counts.items():
        if count == max(counts.values()):
            inside = {name.removeprefix(begin): one for name, one in named.items() if name.startswith(begin)}
            yield Match(path, begin, inside, len(named) - len(inside), count)


def _begins(name: str) -> list[str]:
    """All that could be left out at a name's beginning: nothing, up to its first dot, up to its second."""
    return ["", *(name[: dot.end()] for dot in re.finditer(r"\.", name))]


def _distinct(matches: Sequence[Match], wanted: Mapping[str, Tensor]) -> list[Match]:
    """One of those that hold the same values for the network."""
    kept: list[Match] = []
    for match in matches:
        if not any(_same(match.tensors, other.tensors, wanted) for other in kept):
            kept.append(match)
    return kept


def _same(first: Named, second: Named, wanted: Mapping[str, Tensor]) -> bool:
    return all(_equal(first.get(name), second.get(name)) for name in wanted)


def _equal(first: Tensor | Unread | None, second: Tensor | Unread | None) -> bool:
    if not isinstance(first, Tensor) or not isinstance(second, Tensor):
        return first is second
    return first.dtype == second.dtype and torch.equal(first, second)
