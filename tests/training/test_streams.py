from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from transferlab.inputs.lazy import LazyArray
from transferlab.training.seeding import derived, generator, seeded
from transferlab.training.streams import Examples, LazyTensor, Stream, as_tensor, in_chunks, inputs_of


def _stream(examples: int, batch_size: int, seed: int = 0) -> Stream:
    numbers = torch.arange(examples)
    return Stream(Examples(numbers[:, None].float(), numbers % 3), batch_size, generator(seed, "order"))


def test_every_epoch_shows_every_example_once() -> None:
    stream = _stream(10, 4)
    seen = torch.cat([stream.next().inputs[:, 0] for _ in range(10)]).int()
    for epoch in seen.split(10):
        assert sorted(epoch.tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:20].tolist()


def test_a_domain_smaller_than_a_batch_comes_round_again() -> None:
    batch = _stream(3, 8).next()
    assert len(batch.inputs) == 8
    assert torch.bincount(batch.inputs[:, 0].int()).min() >= 2


domain_sizes = st.lists(st.integers(1, 30), min_size=1, max_size=4)


@given(domain_sizes, st.integers(1, 40), st.integers(1, 12))
def test_domains_have_equal_parts_of_full_batches_and_examples_equal_turns(
    domain_sizes: list[int], batch_size: int, batches: int
) -> None:
    count = sum(domain_sizes)
    domain = torch.repeat_interleave(torch.arange(len(domain_sizes)), torch.tensor(domain_sizes))
    inputs = torch.arange(count)[:, None].float()
    stream = Stream(Examples(inputs, domain, domain_sizes=tuple(domain_sizes)), batch_size, generator(0, "order"))
    turns = torch.zeros(count, dtype=torch.int64)
    for _ in range(batches):
        batch = stream.next()
        assert batch.labels is not None
        assert len(batch.inputs) == batch_size
        shares = torch.bincount(batch.labels, minlength=len(domain_sizes))
        assert shares.tolist() == list(batch.domain_sizes)
        assert shares.max() - shares.min() <= 1
        turns += torch.bincount(batch.inputs[:, 0].long(), minlength=count)
    for turns_of_domain in turns.split(domain_sizes):
        assert turns_of_domain.max() - turns_of_domain.min() <= 1


@given(domain_sizes, st.integers(1, 40), st.integers(0, 9))
def test_a_stream_goes_on_where_it_was(domain_sizes: list[int], batch_size: int, batches: int) -> None:
    """Whatever was between two epochs then, and through what a checkpoint may hold."""
    inputs = torch.arange(sum(domain_sizes))[:, None].float()

    def made(seed: int) -> Stream:
        return Stream(Examples(inputs, domain_sizes=tuple(domain_sizes)), batch_size, generator(seed, "order"))

    stream, file = made(0), io.BytesIO()
    for _ in range(batches):
        stream.next()
    torch.save(stream.state_dict(), file)
    file.seek(0)
    other = made(1)
    other.load_state_dict(torch.load(file, weights_only=True))
    for _ in range(5):
        assert torch.equal(stream.next().inputs, other.next().inputs)


def test_labels_go_with_their_examples_and_an_unlabelled_stream_has_none() -> None:
    batch = _stream(10, 6).next()
    assert batch.labels is not None
    assert torch.equal(batch.inputs[:, 0].int() % 3, batch.labels.int())
    assert Stream(Examples(torch.zeros(4, 1)), 2, generator(0)).next().labels is None


def test_the_order_is_the_seeds() -> None:
    first, again, other = (_stream(50, 50, seed).next().inputs for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_encoding_once_keeps_order_and_labels() -> None:
    encoder = nn.Linear(1, 2)
    images, features = _stream(10, 4), _stream(10, 4).through(encoder)
    for _ in range(5):
        plain, encoded = images.next(), features.next()
        assert encoded.encoded
        assert plain.labels is not None
        assert encoded.labels is not None
        torch.testing.assert_close(encoder(plain.inputs), encoded.inputs)
        assert torch.equal(plain.labels, encoded.labels)


def test_pixels_become_floats_around_zero() -> None:
    assert inputs_of(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]
    assert inputs_of(torch.tensor([0.3])).tolist() == torch.tensor([0.3]).tolist()


def test_chunks_are_put_together_in_order() -> None:
    assert torch.equal(in_chunks(lambda x: 2 * x, torch.arange(1300).float()), 2 * torch.arange(1300).float())


def test_seeds_are_their_own_by_name_and_leave_the_global_state() -> None:
    assert len({derived(seed, name) for seed in range(3) for name in ("a", "b", "a/b")}) == 9
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with seeded(0, "inside"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with seeded(0, "inside"):
        assert torch.equal(torch.rand(3), inside)


def test_batches_from_a_file_are_those_from_memory(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 5, 5, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    chosen = np.arange(0, 40, 2)
    mapped = as_tensor(LazyArray((np.load(tmp_path / "pixels.npy", mmap_mode="r"),))[chosen], "cpu")
    plain = as_tensor(pixels[chosen], "cpu")
    assert isinstance(mapped, LazyTensor)
    assert mapped.shape == plain.shape
    labels = torch.arange(20)
    one, other = (Stream(Examples(inputs, labels), 7, generator(0)) for inputs in (mapped, plain))
    for _ in range(6):
        read, expected = one.next(), other.next()
        assert torch.equal(read.inputs, expected.inputs)
        assert read.inputs.stride() == expected.inputs.stride()
        assert read.labels is not None
        assert expected.labels is not None
        assert torch.equal(read.labels, expected.labels)
    assert torch.equal(torch.cat(list(mapped.split(6))), plain)
    mask = labels % 3 == 0
    assert torch.equal(mapped[mask].read(), plain[mask])
    assert torch.equal(in_chunks(lambda x: x.flatten(1), mapped), in_chunks(lambda x: x.flatten(1), plain))


def test_images_of_several_files_are_chosen_across_them() -> None:
    first, second = (np.arange(start, start + 3, dtype=np.uint8).repeat(4).reshape(3, 2, 2, 1) for start in (10, 20))
    both = LazyArray((first,)).joined(LazyArray((second,), np.array([2, 0])))
    assert both.shape == (5, 2, 2, 1)
    assert np.asarray(both[np.array([4, 0, 3])])[:, 0, 0, 0].tolist() == [20, 10, 22]
    assert [int(one[0, 0, 0]) for one in both] == [10, 11, 12, 22, 20]
    assert both.digest() == LazyArray((np.asarray(both),)).digest() != both[1:].digest()
