"""The augmented views that several strategies have an option for; ``augmentation/images.py`` makes them."""

from __future__ import annotations

from transferlab.config.component import Component
from transferlab.errors import Refusal

MAX_STRENGTHS = {
    "shift": 1.0,
    "rotation": 180.0,
    "scale": 0.99,
    "brightness": 2.0,
    "contrast": 1.0,
    "noise": 2.0,
    "cutout": 1.0,
}
"""The largest strength that makes sense, by name."""


def refuse_strengths(key: str, view: Component) -> None:
    """Raises Refusal, naming the option, if a strength of the view under ``key`` is below 0 or above its largest."""
    for name, largest in MAX_STRENGTHS.items():
        if not 0 <= view.options.get(name, 0) <= largest:
            raise Refusal(f"{key}.{name}={view.options[name]}: expected 0 to {largest:g}")
