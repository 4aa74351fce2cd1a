"""The augmented views that several strategies ask for, described without torch.

Such a strategy has the options named in ``STRENGTHS`` and ``flip``; ``training/augmentation.py`` says what they do.
"""

from __future__ import annotations

from transferlab.component import Component
from transferlab.errors import Refusal
from transferlab.strategies.strategy import Strategy

STRENGTHS = {
    "shift": 1.0,
    "rotation": 180.0,
    "scale": 0.99,
    "brightness": 2.0,
    "contrast": 1.0,
    "noise": 2.0,
    "cutout": 1.0,
}
"""By name, the largest that makes sense."""


def refuse_strengths(strategy: Strategy) -> None:
    """Raises Refusal, naming the option, if a strength is below 0 or above its largest."""
    for name, largest in STRENGTHS.items():
        if not 0 <= getattr(strategy, name) <= largest:
            raise Refusal(f"strategy.{name}={getattr(strategy, name)}: expected 0 to {largest:g}")


def weak_view(strategy: Strategy) -> Component:
    """Shift and flip."""
    return _view("weak", strategy, "shift", "flip")


def strong_view(strategy: Strategy) -> Component:
    """All that the strategy has strengths for."""
    return _view("strong", strategy, *STRENGTHS, "flip")


def _view(name: str, strategy: Strategy, *options: str) -> Component:
    return Component(
        f"transferlab.training.augmentation.{name}", {option: getattr(strategy, option) for option in options}
    )
