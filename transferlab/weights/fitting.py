"""Finds a network's tensors in a file by name and shape, whatever else the file contains."""

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
"""Names preferred among networks that fit equally: averaged weights (as in timm), DINO's teacher, MoCo's query."""

Named = Mapping[str, Tensor | Unread]
"""Tensors by name."""


@dataclass(frozen=True)
class Match:
    """Tensors of a file that may be a network's.

    Attributes:
        container: keys that lead to the mapping with the tensors, joined by dots.
        prefix: common beginning of their names in that mapping.
        tensors: by their names without the prefix.
        others: number of tensors in the same mapping without the prefix.
        fits: number of tensors with name and shape of one of the network's.
        rivals: titles of other matches in the file that fit equally.
    """

    container: str
    prefix: str
    tensors: Named
    others: int
    fits: int
    rivals: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Where in the file the tensors are; empty if they are at the outermost level, without a prefix."""
        return ".".join(name for name in (self.container, self.prefix.rstrip(".")) if name)


class Ambiguous(ValueError):
    """Several networks of one file fit equally, and nothing tells which is meant; the text names them."""


def containers(content: Any) -> dict[str, Named]:
    """Every mapping of names to tensors in a file's content, by the keys and list indices that lead to it."""
    return dict(_containers(content, "", set()))


def _containers(content: Any, path: str, visited: set[int]) -> Iterator[tuple[str, Named]]:
    if not isinstance(content, Mapping | list) or id(cast(object, content)) in visited:
        return
    visited.add(id(cast(object, content)))
    pairs = cast(Mapping[Any, Any], content).items() if isinstance(content, Mapping) else enumerate(content)
    items = {str(key): value for key, value in pairs}
    named = {key: value for key, value in items.items() if isinstance(value, Tensor) or is_tensor(value)}
    if named and isinstance(content, Mapping):
        yield path, named
    for key, value in items.items():
        yield from _containers(value, f"{path}.{key}".lstrip("."), visited)


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of a kind that isn't read."""
    return isinstance(value, Unread) and value.is_tensor


def modules(content: Any) -> list[str]:
    """The class names of whole networks in a file's content."""
    return [value.origin for value in _values(content, set()) if isinstance(value, Unread) and value.is_module]


def _values(content: Any, visited: set[int]) -> Iterator[Any]:
    """Every value in a file's content, once: the content may contain itself, or one value many times."""
    if id(content) in visited:
        return
    visited.add(id(content))
    yield content
    inner = cast(dict[Any, Any], content).values() if isinstance(content, dict) else content
    for value in inner if isinstance(content, dict | list) else ():
        yield from _values(value, visited)


def best_match(content: Any, wanted: Mapping[str, Tensor], renamed: Callable[[str], str]) -> Match | None:
    """The tensors of a file that fit a network best, and the prefix of their names.

    Args:
        content: of the file.
        wanted: the network's tensors.
        renamed: from a name in the file to its present form.

    Returns:
        None if nothing fits at all.

    Raises:
        Ambiguous: if others with other values fit equally, and nothing in their names tells which is meant.
    """
    matches = [
        match
        for path, named in containers(content).items()
        for match in _matches(path, {renamed(name): tensor for name, tensor in named.items()}, wanted)
    ]
    most = max((match.fits for match in matches), default=0)
    if most == 0:
        return None
    alike = _distinct([match for match in matches if match.fits == most], wanted)
    if len(alike) == 1 or most < sized(wanted) / 2:  # with so few fits the caller refuses any match
        return alike[0]
    preferred = [match for match in alike if PREFERRED.search(match.title)]
    titles = [match.title or "the outermost level" for match in alike]
    if len(preferred) != 1:
        raise Ambiguous(", ".join(titles))
    (chosen,) = preferred
    rivals = tuple(title for title, match in zip(titles, alike, strict=True) if match is not chosen)
    return Match(*(chosen.container, chosen.prefix, chosen.tensors, chosen.others, chosen.fits), rivals=rivals)


def sized(tensors: Mapping[str, Tensor]) -> int:
    """Number of tensors with dimensions; single numbers, such as counters, fit anywhere."""
    return sum(tensor.dim() > 0 for tensor in tensors.values())


def _matches(path: str, named: Named, wanted: Mapping[str, Tensor]) -> Iterator[Match]:
    """The matches in one mapping, one for each prefix with which the most tensors fit."""
    counts: Counter[str] = Counter()
    for name, tensor in named.items():
        for prefix in _prefixes(name):
            own = wanted.get(name[len(prefix) :])
            if own is not None and own.dim() and isinstance(tensor, Tensor) and tensor.shape == own.shape:
                counts[prefix] += 1
    for prefix, count in counts.items():
        if count == max(counts.values()):
            inside = {name.removeprefix(prefix): value for name, value in named.items() if name.startswith(prefix)}
            yield Match(path, prefix, inside, len(named) - len(inside), count)


def _prefixes(name: str) -> list[str]:
    """All possible prefixes of a name: empty, up to its first dot, up to its second, and so on."""
    return ["", *(name[: dot.end()] for dot in re.finditer(r"\.", name))]


def _distinct(matches: Sequence[Match], wanted: Mapping[str, Tensor]) -> list[Match]:
    """One of each group of matches that hold the same values for the network."""
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
