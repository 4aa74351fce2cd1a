"""Texts to tokens, by the library tokenizers: words and punctuation, in scripts without blanks single characters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from transferlab.inputs.tokens import PADDING

WITHOUT_BLANKS = r"[\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
"""Scripts, beside the Chinese characters that BertNormalizer knows, that set no blanks between words."""

BATCH = 10_000
"""Texts that are encoded at a time; affects memory, not results."""


@dataclass(frozen=True)
class Tokenized:
    """Texts as the numbers of their tokens.

    Attributes:
        tokens: int32, (texts, length), 0 after a text's end; a token's number is 2 + its index in ``words``.
        words: the tokens, those that occur most in training texts first, others in alphabetical order.
        counts: how often each occurs in training texts; 0 for those that only other texts have.
        cut: how many texts are longer.
    """

    tokens: NDArray[np.int32]
    words: list[str]
    counts: list[int]
    cut: int


def tokenized(texts: Sequence[str], training: NDArray[np.bool_], max_tokens: int) -> Tokenized:
    """Lower-case words, numbers and single punctuation marks; of longer texts the first ``max_tokens`` of them.

    Args:
        texts: of any script.
        training: bool, (texts,), whose tokens are counted.
        max_tokens: that are read of a text.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # workers are forked later, and the library warns then
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import WordLevel
    from tokenizers.trainers import WordLevelTrainer

    tokenizer = Tokenizer(WordLevel({}, unk_token=""))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(handle_chinese_chars=True, strip_accents=False, lowercase=True)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.BertPreTokenizer(), pre_tokenizers.Split(Regex(WITHOUT_BLANKS), "isolated")]
    )
    tokenizer.train_from_iterator(texts, WordLevelTrainer(vocab_size=2**31 - 1, show_progress=False))
    encoded = [
        np.array(encoding.ids, np.int32)
        for start in range(0, len(texts), BATCH)
        for encoding in tokenizer.encode_batch_fast(list(texts[start : start + BATCH]))
    ]
    cut = sum(len(ids) > max_tokens for ids in encoded)
    length = max(min(max((len(ids) for ids in encoded), default=1), max_tokens), 1)
    tokens = np.full((len(texts), length), PADDING, np.int32)
    for row, ids in zip(tokens, encoded, strict=True):
        own = ids[:length]
        row[: len(own)] = own + 2
    vocabulary = tokenizer.get_vocab()
    counts = np.bincount(tokens[training].ravel(), minlength=len(vocabulary) + 2)[2:]
    seen = np.bincount(tokens.ravel(), minlength=len(vocabulary) + 2)[2:] > 0
    used = [word for word, number in vocabulary.items() if seen[number]]
    words = sorted(used, key=lambda word: (-counts[vocabulary[word]], word))
    renumbered = np.zeros(len(vocabulary) + 2, np.int32)
    for number, word in enumerate(words, start=2):
        renumbered[vocabulary[word] + 2] = number
    return Tokenized(renumbered[tokens], words, [int(counts[vocabulary[word]]) for word in words], cut)
