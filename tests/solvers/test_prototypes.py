"""The nearest class prototype as a head, and the similarities it writes."""

from __future__ import annotations

import copy
import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from transferlab.solvers.prototypes import NearestPrototype, class_means, nearest_prototype, similarity
from transferlab.training.streams import Examples


def test_class_means_and_their_similarities_are_their_definitions() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    labels = [0, 2, 0, 2, 2, 0, 4, 4, 0]
    means = class_means(x, torch.tensor(labels), 5)
    for label in range(5):
        members = [row for row, one in zip(x.numpy(), labels, strict=True) if one == label]
        if members:
            np.testing.assert_allclose(means[label].numpy(), np.mean(members, 0))
        else:
            assert means[label].isnan().all()
    found = similarity(x, means[[0, 2]])
    for i, j in np.ndindex(9, 2):
        d = math.sqrt(sum((a - b) ** 2 for a, b in zip(x[i].tolist(), means[[0, 2]][j].tolist(), strict=True)))
        assert found[i, j].item() == pytest.approx(1 / (1 + d))
    torch.testing.assert_close(similarity(x, x).diagonal(), torch.ones(9).double())


def test_the_prototypes_head_is_softmax_of_minus_squared_distances() -> None:
    generator = torch.Generator().manual_seed(0)
    prototypes = torch.randn(4, 3, generator=generator)
    prototypes[2] = torch.nan
    head = NearestPrototype(prototypes, torch.zeros(2, 3))
    x = torch.randn(6, 3, generator=generator)
    known = [0, 1, 3]
    expected = (-torch.cdist(x, prototypes[known]).square()).softmax(1)
    found = head(x).softmax(1)
    torch.testing.assert_close(found[:, known], expected)
    assert (found[:, 2] == 0).all()
    assert head.state_dict().keys() == {"weight", "bias"}
    assert torch.equal(copy.deepcopy(head)(x), head(x))


def _two_domains() -> dict[str, Examples]:
    """Source means 0 and (3, 4); target means (0, 1), none, and (3, 4)."""
    source = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [3.0, 4.0]])
    target = torch.tensor([[0.0, 1.0], [3.0, 3.0], [3.0, 5.0]])
    return {
        "target_labelled": Examples(target, torch.tensor([0, 2, 2])),
        "source": Examples(source, torch.tensor([0, 0, 1])),
    }


def test_similarities_are_written_as_a_table_and_as_a_picture(tmp_path: Path) -> None:
    """By hand: distances 1 and 5 of the first source class, √18 and 0 of the second; a class without examples."""
    head = nearest_prototype(_two_domains(), classes=3)
    assert isinstance(head, NearestPrototype)
    head.write(tmp_path, ["nought", "one", "unseen"], ["zero", "absent", "one"])
    rows = list(csv.reader((tmp_path / "class_similarity.csv").read_text().splitlines()))
    assert rows == [
        ["source_class", "zero", "absent", "one"],
        ["nought", "0.500000", "", "0.166667"],
        ["one", f"{1 / (1 + 18**0.5):.6f}", "", "1.000000"],
        ["unseen", "", "", ""],
    ]
    with Image.open(tmp_path / "class_similarity.png") as picture:
        assert picture.width > 200
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 20


def test_the_head_and_its_similarities_survive_a_move_to_float64(tmp_path: Path) -> None:
    head = nearest_prototype(_two_domains(), classes=3).double()
    assert isinstance(head, NearestPrototype)
    head.write(tmp_path, ["a", "b"], ["c", "d", "e"])
    assert head(torch.tensor([[3.0, 4.0]], dtype=torch.float64)).argmax().item() == 2
