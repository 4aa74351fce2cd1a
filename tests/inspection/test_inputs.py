"""Numbers that are said of inputs are those that a plain calculation gives."""

from __future__ import annotations

import numpy as np
from made_kinds import made

from transferlab.config.component import Component
from transferlab.domains.domain import Domain
from transferlab.inputs.tokens import Tokens
from transferlab.inspection import sides as looking
from transferlab.inspection.image_inputs import intensities
from transferlab.inspection.sides import Role, Side, drawn_of
from transferlab.inspection.table_inputs import tables
from transferlab.inspection.text_inputs import missing_shares, words_of


def side(domain: Domain, role: Role = "source") -> Side:
    return Side(role, Component("some.where", {}, f"some_{role}"), domain)


def test_intensities() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 4, 3), dtype=np.uint8)
    mean, deviation = intensities(side(Domain(images, np.arange(2500) % 2, ("a", "b"))))
    np.testing.assert_allclose(mean, images.mean((0, 1, 2)))
    np.testing.assert_allclose(deviation, images.std((0, 1, 2)))


def test_columns_and_categories_of_one_side() -> None:
    source, target = made(kind="table", target=False, examples=60), made(kind="table", target=True, examples=60)
    rows = np.array(target.inputs)
    rows[0, 0] = 3  # white, which the source hasn't
    changed = target.derived(inputs=rows)
    numbers, categories, *lines = tables(None, [side(source), side(changed, "target")]).content  # pyright: ignore
    assert lines == ["colour: only target=some_target has the category white."]
    values = source.inputs[:, 0]
    missing = int(np.isnan(values).sum())
    assert numbers.rows[0] == [
        "a",
        "source=some_source",
        *(f"{f(values):.4g}" for f in (np.nanmin, np.nanmean, np.nanmax)),
        str(missing),
    ]
    assert [row[2] for row in categories.rows] == ["3", "4"]


def test_words_that_the_source_lacks() -> None:
    labels = np.array([0, 1])
    source = Domain(np.array([[2, 3, 0], [3, 3, 3]]), labels, ("a", "b"), kind=Tokens(("red", "blue", "never")))
    target = Domain(np.array([[2, 2, 3], [4, 1, 0]]), labels, ("a", "b"), kind=Tokens(("green", "blue", "grey")))
    assert words_of(side(source)) == {"red": 1, "blue": 4}
    own = words_of(side(target))
    assert own == {"green": 2, "blue": 1, "grey": 1}
    assert missing_shares(own, {"red", "blue"}) == (2 / 3, 3 / 4)


def test_of_many_examples_some_are_looked_at(monkeypatch) -> None:
    monkeypatch.setattr(looking, "MOST_EXAMPLES", 50)
    many = side(Domain(np.zeros((400, 2, 2, 1), np.uint8), np.arange(400) % 2, ("a", "b")))
    assert len(many.looked_at) == 50
    assert (np.diff(many.looked_at) > 0).all()
    assert drawn_of([many]) == ["source=some_source: 50 drawn of 400 are looked at here."]
