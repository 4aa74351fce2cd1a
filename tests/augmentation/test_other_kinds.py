"""Views of signals, vectors and texts."""

from __future__ import annotations

import torch

from transferlab.augmentation import signals, tokens, vectors


def test_at_strength_nought_nothing_changes() -> None:
    waves, texts, rows = torch.randn(5, 2, 30), torch.randint(1, 9, (5, 12)), torch.randn(5, 6)
    assert torch.equal(signals.varied(waves, shift=0.0, scale=0.0, noise=0.0, cutout=0.0), waves)
    assert torch.equal(signals.masked(waves, fraction=0.0), waves)
    assert torch.equal(vectors.swapped(rows, fraction=0.0), rows)
    assert torch.equal(vectors.masked(rows, fraction=0.0), rows)
    assert torch.equal(tokens.masked(texts, fraction=0.0), texts)


def test_a_shift_moves_both_channels_by_whole_samples_and_repeats_the_ends() -> None:
    waves = torch.arange(20.0).expand(300, 2, 20).contiguous()
    views = signals.varied(waves, shift=0.1, scale=0.0, noise=0.0, cutout=0.0)
    moves = views[:, 0, 10] - 10
    assert set(moves.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}
    expected = (torch.arange(20.0) + moves[:, None]).clamp(0, 19)
    assert torch.equal(views, expected[:, None].expand_as(views))


def test_scale_and_noise_are_as_strong_as_they_say() -> None:
    ones = torch.ones(4000, 1, 10)
    scaled = signals.varied(ones, shift=0.0, scale=0.2, noise=0.0, cutout=0.0)
    assert torch.equal(scaled, scaled[:, :, :1].expand_as(scaled)), "one factor for an example"
    assert 0.8 <= float(scaled.min()) < 0.81
    assert 1.19 < float(scaled.max()) <= 1.2
    noisy = signals.varied(ones, shift=0.0, scale=0.0, noise=0.3, cutout=0.0) - 1
    assert abs(float(noisy.std()) - 0.3) < 0.01


def test_a_stretch_is_cut_out_of_all_channels_and_may_reach_over_the_ends() -> None:
    views = signals.varied(torch.ones(500, 2, 20), shift=0.0, scale=0.0, noise=0.0, cutout=0.3)
    assert torch.equal(views[:, 0], views[:, 1])
    lengths = (views[:, 0] == 0).sum(1)
    assert (int(lengths.max()), int(lengths.min())) == (6, 3)
    starts = (views[:, 0].diff(dim=1) != 0).sum(1)
    assert int(starts.max()) <= 2, "one stretch"


def test_swapped_values_come_from_the_same_column_of_the_batch() -> None:
    columns = torch.arange(4.0) * 1000
    rows = columns + torch.arange(400.0)[:, None]
    views = vectors.swapped(rows, fraction=0.3)
    assert torch.equal((views / 1000).floor() * 1000, columns.expand_as(views))
    assert abs(float((views != rows).float().mean()) - 0.3) < 0.05


def test_masks_hide_a_fraction_and_never_what_is_not_there() -> None:
    texts = torch.cat([torch.zeros(200, 10, dtype=torch.int64), torch.randint(2, 9, (200, 10))], 1)
    hidden = tokens.masked(texts, fraction=0.4)
    assert not hidden[:, :10].any()
    assert abs(float((hidden[:, 10:] == 1).float().mean()) - 0.4) < 0.05
    waves = signals.masked(torch.ones(200, 3, 20), fraction=0.4)
    assert torch.equal(waves[:, 0], waves[:, 2])
    assert abs(float((waves == 0).float().mean()) - 0.4) < 0.05
    assert abs(float((vectors.masked(torch.ones(200, 20), fraction=0.4) == 0).float().mean()) - 0.4) < 0.05
