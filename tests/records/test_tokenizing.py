"""Texts of every script become tokens."""

from __future__ import annotations

import numpy as np
import pytest

from transferlab.records import tokenizing
from transferlab.records.tokenizing import tokenized


def words_of(text: str) -> list[str]:
    result = tokenized([text], np.ones(1, bool), 99)
    return [result.words[number - 2] for number in result.tokens[0] if number]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's GOOD, isn't it?", ["it", "'", "s", "good", ",", "isn", "'", "t", "it", "?"]),
        ("Ärger im Café", ["ärger", "im", "café"]),
        ("这个很好。", ["这", "个", "很", "好", "。"]),
        ("すごい", ["す", "ご", "い"]),
        ("안녕 하세요", ["안녕", "하세요"]),
        ("ｗｉｄｅ", ["wide"]),
    ],
)
def test_words_and_marks_are_tokens_and_characters_where_no_blanks_are_set(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_the_vocabulary_is_in_order_of_its_count_in_training_texts() -> None:
    texts = ["b b a", "a b", "c c c c d"]
    result = tokenized(texts, np.array([True, True, False]), 99)
    assert result.words == ["b", "a", "c", "d"]
    assert result.counts == [3, 2, 0, 0]
    assert result.tokens.tolist() == [[2, 2, 3, 0, 0], [3, 2, 0, 0, 0], [4, 4, 4, 4, 5]]


def test_the_beginning_of_a_long_text_is_read() -> None:
    result = tokenized(["a b c d", "e"], np.ones(2, bool), 2)
    assert result.cut == 1
    assert [result.words[number - 2] for number in result.tokens[0]] == ["a", "b"]
    assert set(result.words) == {"a", "b", "e"}


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"word{number} again" for number in range(10)]
    whole = tokenized(texts, np.arange(10) < 7, 9)
    monkeypatch.setattr(tokenizing, "BATCH", 3)
    again = tokenized(texts, np.arange(10) < 7, 9)
    assert (again.words, again.counts, again.tokens.tolist()) == (whole.words, whole.counts, whole.tokens.tolist())
