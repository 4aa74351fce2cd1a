"""What the verdict promises, simulated with a fixed seed; ``benchmarks/verdicts.py`` prints all of it."""

import pytest

from benchmarks.verdicts import Scenario, looked, measured

DRAWS = 6_000
SLACK = 0.5
"""Percent that so many draws may be off by."""


@pytest.mark.parametrize(("rows", "power"), [(2, 88), (5, 89), (12, 85), (48, 77)])
def test_a_true_gain_is_found_as_often_as_the_design_says(rows: int, power: int):
    """False words of the family, coverage of the intervals, and a gain of 5 points, in percent."""
    rates = measured(Scenario(rows, "normal", 0.2, common=False), DRAWS)
    assert rates.false <= 5 + SLACK
    assert rates.covered >= 94 - SLACK
    assert rates.power >= power - 5
    assert rates.power > rates.power_by_pairs + 15


@pytest.mark.parametrize("share", [0.7, -0.3])
@pytest.mark.parametrize("kind", ["skewed", "collapsing"])
def test_other_errors_and_other_pairs_are_no_way_to_a_false_word(kind: str, share: float):
    for rows, common in ((1, False), (5, True), (12, False)):
        rates = measured(Scenario(rows, kind, share, common), DRAWS)
        assert rates.false <= 5 + SLACK
        assert rates.equivalent <= 5 + SLACK
        assert rates.covered >= (94 if share > 0 else 93) - SLACK


def test_five_looks_together_are_wrong_in_no_more_than_five_percent():
    rates = looked(Scenario(5, "normal", 0.2, common=True), -5.0, 2_000)
    assert rates.false <= 5 + SLACK
    assert rates.decided >= 98
    assert rates.seeds < 8
