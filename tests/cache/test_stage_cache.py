"""Fits are shared between runs, and no number tells whether they were."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fits import BLUEPRINT, IMAGES, LABELS, setup_of
from jobs import STRATEGIES, TINY, TOLD, Said, numbers, results
from safetensors import SafetensorError
from torch import Tensor

from transferlab.cache import entries
from transferlab.cache.entries import ABANDONED, DiskCache
from transferlab.cache.stage_cache import StageCache
from transferlab.config.schema import TrainConfig
from transferlab.models.network import Blueprint, Modules
from transferlab.stages import Fit, Phase, cross_entropy
from transferlab.training.checkpoint import Checkpoint
from transferlab.training.fit import Snapshot
from transferlab.training.journal import Journal
from transferlab.training.streams import Examples

Train = Callable[..., Said]


def _entries(root: Path) -> list[Path]:
    return sorted(root.glob("cache/stages/*/*.json"))


def _read_seconds(root: Path) -> list[float]:
    """Of each result, what its fits would have taken that were read."""
    return [result["timing"]["cached_seconds"] for result in results(root)]


def _log(root: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in root.glob("runs/**/train.log"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_cache_changes_no_byte(transferlab: Train, tmp_path: Path, strategy: str) -> None:
    job = [*TINY, f"strategy={strategy}", "baselines=[]", "target_labels_per_class=4", *TOLD.get(strategy, [])]
    for root, cache in (("filled", "true"), ("off", "false")):
        said = transferlab("train", *job, f"output_root={tmp_path / root}", f"cache={cache}")
        assert said.code == 0, said.err
    without = numbers(tmp_path / "off")
    assert numbers(tmp_path / "filled") == without
    assert not (tmp_path / "off" / "cache").exists()
    said = transferlab("train", *job, f"output_root={tmp_path / 'filled'}", "overwrite=true")
    assert said.code == 0, said.err
    assert numbers(tmp_path / "filled") == without


def test_the_source_is_fitted_once(transferlab: Train, tmp_path: Path) -> None:
    job = [*TINY, f"output_root={tmp_path}"]
    assert transferlab("train", *job, "strategy=source_only", "baselines=[]").code == 0
    assert len(_entries(tmp_path)) == 1
    assert transferlab("train", *job, "strategy=finetune", "baselines=[]").code == 0
    assert len(_entries(tmp_path)) == 2, "one more, for the target"
    (finetune,) = [one for one in results(tmp_path) if one["strategy"] == "finetune"]
    assert finetune["timing"]["cached_seconds"] > 0
    assert finetune["timing"]["seconds"] > finetune["timing"]["cached_seconds"]


ALIKE = [
    *(["strategy=finetune", f"strategy.train={train}"] for train in ("head", "last_n", "gradual", "full")),
    *(["strategy=feature_extraction", f"strategy.head={head}"] for head in ("linear", "mlp", "logistic", "knn", "lda")),
    *([f"strategy={name}"] for name in ("feature_sharing", "adda", "adabn")),
]


def test_whatever_begins_with_the_same_source_fits_it_once(transferlab: Train, tmp_path: Path) -> None:
    job = [*TINY, f"output_root={tmp_path}", "baselines=[]"]
    for more in (["strategy=source_only"], *ALIKE):
        said = transferlab("train", *job, *more)
        assert said.code == 0, said.err
    logs = {path: path.read_text() for path in tmp_path.glob("runs/**/train.log")}
    assert len(logs) == 1 + len(ALIKE)
    fitted = [path for path, log in logs.items() if "from the cache" not in log]
    assert [path.parts[-4] for path in fitted] == ["source_only"]


@pytest.mark.parametrize("more", [["log_every=3"], ["validator=source_accuracy"], ["margin=2.0"], ["parallel=1"]])
def test_what_changes_no_fit_finds_it(transferlab: Train, tmp_path: Path, more: list[str]) -> None:
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]", "overwrite=true"]
    assert transferlab("train", *job).code == 0
    assert _read_seconds(tmp_path) == [0]
    assert transferlab("train", *job, *more).code == 0
    assert len(_entries(tmp_path)) == 1
    assert max(_read_seconds(tmp_path)) > 0


def test_a_deterministic_run_makes_its_own_fit_of_the_same_bytes(transferlab: Train, tmp_path: Path) -> None:
    """On a CPU; on a GPU the other one's might be another each time."""
    job = [*TINY, "strategy=dann", "baselines=[]"]
    for name in ("false", "true"):
        said = transferlab("train", *job, f"deterministic={name}", f"output_root={tmp_path / name}")
        assert said.code == 0, said.err
    assert numbers(tmp_path / "true") == numbers(tmp_path / "false")
    assert (
        transferlab("train", *job, "deterministic=true", f"output_root={tmp_path / 'false'}", "overwrite=true").code
        == 0
    )
    assert len(_entries(tmp_path / "false")) == 2


@pytest.mark.parametrize(
    "more", [["optimizer.lr=0.02"], ["source.examples=300"], ["batch_size=12"], ["steps=7"], ["seeds=[1]"]]
)
def test_what_changes_a_fit_does_not(transferlab: Train, tmp_path: Path, more: list[str]) -> None:
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]"]
    assert transferlab("train", *job).code == 0
    assert transferlab("train", *job, *more).code == 0
    assert len(_entries(tmp_path)) == 2
    assert _read_seconds(tmp_path) == [0, 0]


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [*itertools.product([".json", ".safetensors"], ["cut", "flipped", "gone"]), (".json", "another number")],
)
def test_a_damaged_entry_is_made_again(transferlab: Train, tmp_path: Path, suffix: str, harm: str) -> None:
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]", "overwrite=true"]
    assert transferlab("train", *job).code == 0
    whole = numbers(tmp_path)
    file = _entries(tmp_path)[0].with_suffix(suffix)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    match harm:
        case "cut":
            file.write_bytes(file.read_bytes()[:-40])
        case "flipped":
            file.write_bytes(content)
        case "another number":
            about = json.loads(file.read_text())
            about["rows"][0]["learning_rate"] += 1
            file.write_text(json.dumps(about))
        case _:
            file.unlink()
    assert transferlab("train", *job).code == 0
    assert numbers(tmp_path) == whole
    assert _read_seconds(tmp_path) == [0]
    assert len(_entries(tmp_path)) == 1
    assert transferlab("train", *job).code == 0
    assert _read_seconds(tmp_path) > [0], "the one made again is whole"


def test_a_fit_is_found_by_seed_blueprint_and_the_stages_so_far(
    config: TrainConfig, modules: Modules, tmp_path: Path
) -> None:
    config = replace(config, output_root=str(tmp_path))
    one, two = (Fit(name, (Phase((cross_entropy("source"),)),)) for name in ("one", "two"))

    def made(
        seed: int = 0, blueprint: Blueprint = BLUEPRINT, stages: Sequence[Fit] = (one, two), labels: Tensor = LABELS
    ) -> bool:
        """Whether the last stage had to be fitted."""
        journal = Journal("test", lambda: None, quiet=True)
        cache = StageCache(setup_of(config, journal, blueprint, seed), blueprint, None)
        for stage in stages:
            cache.enter(stage, {"source": Examples(IMAGES, labels if stage is one else None)})

        def fit(_checkpoint: Checkpoint | None) -> list[Snapshot]:
            with journal.stage("two", 1) as lines:
                lines.rows.append({"stage": "two", "step": 1, "seconds": 0.1})
            return []

        cache.fitted(modules, prepare=lambda: None, fit=fit)
        return journal.saved_seconds == 0

    assert made()
    assert not made()
    assert made(seed=1)
    assert made(blueprint=replace(BLUEPRINT, features=8))
    assert made(stages=(one, replace(two, share=0.5)))
    assert made(stages=(replace(one, share=0.5), two))
    assert made(stages=(two,))
    assert made(labels=LABELS.flip(0))
    assert not made()


def test_what_was_used_last_stays(transferlab: Train, tmp_path: Path) -> None:
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]"]
    assert transferlab("train", *job).code == 0
    (first,) = _entries(tmp_path)
    size = first.with_suffix(".safetensors").stat().st_size / 1e9
    assert transferlab("train", *job, "steps=7", f"cache_gigabytes={1.5 * size}").code == 0
    (second,) = _entries(tmp_path)
    assert second != first
    assert not first.with_suffix(".safetensors").exists()


def test_what_is_read_counts_as_used(transferlab: Train, tmp_path: Path) -> None:
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]", "overwrite=true"]
    assert transferlab("train", *job).code == 0
    (first,) = _entries(tmp_path)
    assert transferlab("train", *job, "steps=7").code == 0
    (second,) = set(_entries(tmp_path)) - {first}
    size = first.with_suffix(".safetensors").stat().st_size / 1e9
    assert transferlab("train", *job).code == 0
    assert transferlab("train", *job, "steps=8", f"cache_gigabytes={2.5 * size}").code == 0
    assert first.exists()
    assert not second.exists()


def test_what_a_run_goes_on_from_goes_last(tmp_path: Path) -> None:
    """Though it is older; unless nobody has come back to it for long."""
    weights = {"weight": torch.zeros(1000)}
    checkpoint = tmp_path / "cc" / "cc.checkpoint"
    for key in ("aa", "bb", "cc"):
        (tmp_path / key).mkdir()
    for abandoned in (False, True):
        checkpoint.write_bytes(bytes(4000))
        age = ABANDONED * (2 if abandoned else 0.5)
        os.utime(checkpoint, (time.time() - age,) * 2)
        for key in ("aa", "bb"):
            assert DiskCache(tmp_path, 10_000).write(key, {}, weights)
        assert checkpoint.exists() is not abandoned
        assert [path.stem for path in sorted(tmp_path.glob("*/*.json"))] == (["aa", "bb"] if abandoned else ["bb"])


def test_files_of_others_in_the_cache_are_none_of_its_concern(tmp_path: Path) -> None:
    """Its folder may be a link to a large disk."""
    (tmp_path / "elsewhere" / "ab").mkdir(parents=True)
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    names = (".env", "model.safetensors", "model.json", "epoch3.checkpoint", ".notes.2024", "cd.safetensors")
    others = [tmp_path / "elsewhere" / folder / name for folder in ("proj", "ab") for name in names]
    (tmp_path / "elsewhere" / "proj").mkdir()
    for path in others:
        path.write_bytes(bytes(3000))
        os.utime(path, (time.time() - 3 * ABANDONED,) * 2)
    assert not DiskCache(tmp_path / "cache", 1_000).write("abcd", {}, {"weight": torch.zeros(1000)})
    assert all(path.exists() for path in others)


@pytest.mark.parametrize("limit", [10_000, 5_000, 1_000])
def test_an_entry_takes_the_place_of_its_checkpoint_or_says_that_it_has_not(tmp_path: Path, limit: int) -> None:
    checkpoint = tmp_path / "ab" / "abc.checkpoint"
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(bytes(6_400))
    entries = DiskCache(tmp_path, limit)
    kept = entries.write("abc", {"a": 1}, {"weight": torch.zeros(1000)})
    assert kept == (limit >= 5_000)
    assert (entries.read("abc") is not None) == kept
    assert checkpoint.exists()


def test_what_another_process_removes_meanwhile_is_no_concern(transferlab: Train, tmp_path: Path) -> None:
    """An index whose tensors are gone, and tensors that are gone once they were seen."""
    folder = tmp_path / "cache" / "stages" / "ab"
    folder.mkdir(parents=True)
    (folder / "abc.json").write_text("{}")
    (folder / "abd.safetensors").symlink_to(folder / "gone")
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]", "cache_gigabytes=0.000001"]
    said = transferlab("train", *job)
    assert said.code == 0, said.err
    assert "not kept" not in _log(tmp_path)
    assert len(_entries(tmp_path)) == 1, "the new one is too large to stay"


@pytest.mark.parametrize("error", [OSError("no space left"), SafetensorError("no space left")])
def test_what_cannot_be_kept_stops_no_run(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(_stored: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(entries, "save_file", full)
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]"]
    assert transferlab("train", *job).code == 0
    assert re.search("not kept in the cache: .*no space left", _log(tmp_path))
    assert not list(tmp_path.glob("cache/stages/*/*"))


def test_code_of_ones_own_is_not_kept(transferlab: Train, tmp_path: Path) -> None:
    job = [*TINY, f"output_root={tmp_path}", "strategy=source_only", "baselines=[]", "allow_packages=[mine]"]
    assert transferlab("train", *job).code == 0
    assert _entries(tmp_path) == []
