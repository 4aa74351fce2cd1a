"""Texts as bags of words, and files of words' vectors."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor

from transferlab.backbones.bag import Bag
from transferlab.errors import Refusal
from transferlab.inputs.tokens import Tokens, TokensSpec

TEXTS = TokensSpec(Tokens(("cat", "dog", "été", "horse")), 6)
CAT, DOG, SUMMER, HORSE = 2, 3, 4, 5


def bag(path: Path | None = None, *, width: int = 3, frozen: bool = False) -> Bag:
    return Bag(TEXTS, width=width, vectors=None if path is None else str(path), frozen=frozen)


def text(*tokens: int) -> Tensor:
    return torch.tensor([[0] * (6 - len(tokens)) + list(tokens)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two of the four words, and two others."""
    path = tmp_path / "vectors.txt"
    path.write_text("dog 1 2 3.5\nbird 0 0 1\nété -1 0.5 2e1\n. . 7 8 9\n", encoding="utf-8")
    return path


def test_a_text_is_the_mean_of_its_words() -> None:
    backbone = bag()
    one = {token: backbone(text(token))[0] for token in (CAT, DOG, HORSE)}
    torch.testing.assert_close(backbone(text(CAT, DOG, DOG, HORSE))[0], (one[CAT] + 2 * one[DOG] + one[HORSE]) / 4)
    assert not torch.allclose(one[CAT], one[DOG])
    assert torch.equal(backbone(text()), torch.zeros(1, 3))
    assert bag(width=17)(text(CAT)).shape == (1, 17)


@pytest.mark.parametrize("frozen", [True, False])
def test_order_and_free_places_do_not_matter(file: Path, frozen: bool) -> None:
    backbone = bag(file, frozen=frozen)
    torch.testing.assert_close(backbone(text(CAT, DOG, SUMMER)), backbone(text(SUMMER, CAT, DOG)))
    longer = torch.cat([torch.zeros(1, 4, dtype=torch.long), text(CAT, DOG)], 1)
    torch.testing.assert_close(backbone(longer), backbone(text(CAT, DOG)))


@pytest.mark.parametrize("frozen", [True, False])
def test_vectors_of_a_file_are_taken_and_other_words_have_random_ones(file: Path, frozen: bool) -> None:
    torch.manual_seed(0)
    backbone = bag(file, frozen=frozen)
    assert backbone(text(DOG)).tolist() == [[1, 2, 3.5]]
    assert backbone(text(SUMMER)).tolist() == [[-1, 0.5, 20]]
    assert torch.equal(backbone(text()), torch.zeros(1, 3))
    torch.manual_seed(1)
    other = bag(file, frozen=frozen)
    for lacking in (1, CAT, HORSE):
        assert not torch.equal(backbone(text(lacking)), other(text(lacking)))
    assert not torch.equal(backbone(text(CAT)), backbone(text(HORSE)))


def test_random_vectors_are_as_large_as_the_files(tmp_path: Path) -> None:
    numbers = " ".join(map(str, (0.01 * torch.randn(400)).tolist()))
    (tmp_path / "small.vec").write_text(f"dog {numbers}\n")
    backbone = bag(tmp_path / "small.vec")
    assert 0.005 < backbone(text(HORSE)).std().item() < 0.02


def test_a_step_moves_the_vectors_unless_they_are_frozen(file: Path) -> None:
    for frozen in (False, True):
        backbone = bag(file, frozen=frozen).requires_grad_(True)
        before = copy.deepcopy(backbone)
        optimizer = torch.optim.SGD(backbone.parameters(), lr=0.1, weight_decay=0.1)
        backbone(text(CAT, DOG, SUMMER)).square().sum().backward()
        optimizer.step()
        assert torch.equal(backbone(text(DOG)), before(text(DOG))) == frozen
        assert not torch.equal(backbone(text(CAT)), before(text(CAT)))
        assert torch.equal(backbone(text()), torch.zeros(1, 3))
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 3 * 4, "none, unknown, cat, horse"


@pytest.mark.parametrize(
    "content",
    [
        "2 3\ncat 1 2 3\ndog 4 5 6\n",  # word2vec's first line
        "\N{BYTE ORDER MARK}2 3 \ncat 1 2 3 \ndog 4 5 6 \n",
        "cat\t1\t2\t3\r\ndog 4  5 6\r\n\r\n",
        "cat 1 2 3\ndog 4 5 6\ncat 9 9 9\ne mail 7 7 7",  # the first counts; words may have spaces in them
    ],
)
def test_ways_of_writing_a_file(content: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(content, encoding="utf-8")
    backbone = bag(path, width=7)
    assert backbone(text(CAT)).tolist() == [[1, 2, 3]]
    assert backbone(text(DOG)).tolist() == [[4, 5, 6]]


def test_a_file_that_has_changed_is_read_again(file: Path) -> None:
    assert bag(file)(text(DOG)).tolist() == [[1, 2, 3.5]]
    file.write_text("dog 10 20 30 40\n")
    assert bag(file)(text(DOG)).tolist() == [[10, 20, 30, 40]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("cat 1 2 3\ndog 4 5\n", "line 2 has 2 numbers; expected 3"),
        ("cat 1 2 3\nbird 4 5 6 7\n", "line 2 has 4 numbers; expected 3"),
        ("2 3\ncat 1 2 3\ndog 1\n", "line 3 has 1 number; expected 3"),
        ("cat\n", "line 1 has 0 numbers; expected a word and its numbers"),
        ("bird 1 2\ncat 1 x\n", "line 2 has something that is no number; expected a word and 2"),
        ("cat 1 nan\n", "line 1 has something that is no number; expected a word and 2"),
        ("cat 1 1e39\n", "line 1 has something that is no number; expected a word and 2"),
        ("bird 1 2\nCat 1 2\n", "has none of the run's 4 words; are they spelled as in the file?"),
        ("", "has none of the run's 4 words; are they spelled as in the file?"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(content)
    with pytest.raises(Refusal) as refusal:
        bag(path)
    assert str(refusal.value) == f"backbone.vectors={path}: {message}"


def test_what_is_no_file_of_vectors_is_refused(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.txt", "there is no such file"),
        (tmp_path, "is a folder; name a file of.*"),
    ):
        with pytest.raises(Refusal, match=rf"^backbone\.vectors={path}: {message}$"):
            bag(path)
    (tmp_path / "latin.txt").write_bytes("cat 1\nété 2\n".encode("latin-1"))
    with pytest.raises(Refusal, match=r": line 2 isn't in UTF-8; convert the file$"):
        bag(tmp_path / "latin.txt")


def test_options_out_of_range_are_refused_by_name() -> None:
    with pytest.raises(Refusal, match=r"^backbone\.width=0: expected at least 1$"):
        bag(width=0)
    with pytest.raises(Refusal, match=r"^backbone\.frozen=true: expected a file, backbone\.vectors=PATH; "):
        bag(frozen=True)
