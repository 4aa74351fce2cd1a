"""The words that a verdict can be."""

from __future__ import annotations

from typing import Literal

Verdict = Literal["negative", "leaning_negative", "inconclusive", "equivalent", "leaning_positive", "positive"]
"""From "the transfer hurt" to "it helped"; apart from heavy imports, because the config is checked against it."""

DECIDED: tuple[Verdict, ...] = ("negative", "positive", "equivalent")
"""The words of which further seeds would change nothing."""

NOT_JUDGED = ("scratch", "target_oracle")
"""Baselines, which get a difference and no verdict."""
