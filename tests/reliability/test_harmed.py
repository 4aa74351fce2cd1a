"""Files that were cut, flipped, overwritten or mixed up are never believed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jobs import Said

from transferlab.cache import feature_cache, stage_cache
from transferlab.cache.entries import DiskCache
from transferlab.comparison.result_file import SCHEMA_VERSION, is_usable
from transferlab.comparison.results import read_results
from transferlab.system.files import json_digest
from transferlab.training.checkpoint import Checkpoint

STATE: dict[str, Any] = {"step": 7, "weights": {"a": torch.arange(20.0)}, "rows": [{"stage": "s", "loss": 0.5}]}
ABOUT: dict[str, Any] = {"snapshots": [[7, "abc"]], "rows": [{"stage": "source", "step": 7}]}
STORED = {"abc": torch.arange(20.0)}

INDEX = st.integers(0, 10**6)
HARMS = st.one_of(
    st.tuples(st.just("cut"), INDEX, st.just(b"")),
    st.tuples(st.just("flipped"), INDEX, st.integers(0, 7).map(lambda bit: bytes([1 << bit]))),
    st.tuples(st.just("overwritten"), INDEX, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("more"), INDEX, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("another"), INDEX, st.binary(max_size=200)),
)
Harm = tuple[str, int, bytes]
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _harmed(content: bytes, harm: Harm) -> bytes:
    kind, place, more = harm
    place %= len(content)
    match kind:
        case "cut":
            return content[:place]
        case "flipped":
            return content[:place] + bytes([content[place] ^ more[0]]) + content[place + 1 :]
        case "overwritten":
            return (content[:place] + more + content[place + len(more) :])[: len(content)]
        case "more":
            return content[:place] + more + content[place:]
        case _:
            return more


@given(HARMS)
@MANY
def test_checkpoints(tmp_path: Path, harm: Harm) -> None:
    path = tmp_path / "fit.checkpoint"
    checkpoint = Checkpoint(path, 0)
    checkpoint.write(STATE)
    content = path.read_bytes()
    path.write_bytes(_harmed(content, harm))
    found = checkpoint.read()
    assert (found is not None) == (path.read_bytes() == content)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@given(harm=HARMS)
@MANY
def test_kept_fits(tmp_path: Path, suffix: str, harm: Harm) -> None:
    entries = DiskCache(tmp_path, 1e9)
    (tmp_path / "ab").mkdir(exist_ok=True)
    assert entries.write("abcd", ABOUT, STORED)
    path = tmp_path / "ab" / f"abcd.{suffix}"
    path.write_bytes(_harmed(path.read_bytes(), harm))
    found = entries.read("abcd")
    if found is not None:  # JSON may have blanks where it had none
        assert json.dumps(found[0]) == json.dumps(ABOUT)
        assert {name: one.tolist() for name, one in found[1].items()} == {"abc": STORED["abc"].tolist()}


def test_kept_fits_that_were_exchanged(tmp_path: Path) -> None:
    """Both are whole; each stands in the other's place."""
    entries = DiskCache(tmp_path, 1e9)
    (tmp_path / "ab").mkdir()
    for number, key in enumerate(("ab01", "ab02")):
        entries.write(key, ABOUT, {"abc": torch.arange(20.0) + number})
    for suffix in ("json", "safetensors"):
        one, other = (tmp_path / "ab" / f"{key}.{suffix}" for key in ("ab01", "ab02"))
        one.rename(tmp_path / "aside")
        other.rename(one)
        (tmp_path / "aside").rename(other)
    assert entries.read("ab01") is None
    assert entries.read("ab02") is None


def test_checkpoints_that_were_exchanged(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "one.checkpoint", 0).write(STATE)
    (tmp_path / "one.checkpoint").rename(tmp_path / "other.checkpoint")
    assert Checkpoint(tmp_path / "other.checkpoint", 0).read() is None


@pytest.mark.parametrize("special", ["pipe", "endless", "folder"])
def test_what_is_no_ordinary_file_is_never_waited_for(tmp_path: Path, special: str) -> None:
    (tmp_path / "ab").mkdir()
    for name in ("abcd.json", "abcd.safetensors", "abcd.checkpoint"):
        path = tmp_path / "ab" / name
        {"pipe": os.mkfifo, "endless": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[special](path)
    entries = DiskCache(tmp_path, 1e9)
    assert entries.read("abcd") is None
    assert entries.checkpoint("abcd", 0).read() is None


NETWORK = {"head": {"weight": "abc"}}
WHOLE: dict[str, Any] = {"final": NETWORK, "snapshots": [[7, NETWORK]], "rows": [{"step": 7}], "warnings": []}
GONE = object()


@pytest.mark.parametrize(
    ("folder", "harm"),
    [
        ("stages", {"snapshots": GONE}),
        ("stages", {"final": GONE}),
        ("stages", {"rows": 3}),
        ("stages", {"rows": [3]}),
        ("stages", {"warnings": None}),
        ("stages", {"snapshots": [7]}),
        ("stages", {"final": {"head": {"weight": "another"}}}),
        ("features", {"seconds": GONE}),
        ("features", {"seconds": "long"}),
    ],
)
def test_kept_results_that_lack_a_part(folder: str, harm: dict[str, Any], tmp_path: Path) -> None:
    """Their checksums are right."""
    is_whole = feature_cache.is_whole if folder == "features" else stage_cache.is_whole
    entries = DiskCache(tmp_path / folder, 1e9, is_whole)
    (tmp_path / folder / "ab").mkdir(parents=True)
    about, name = ({"seconds": 1.5}, "features") if folder == "features" else (WHOLE, "abc")
    assert entries.write("abcd", about, {name: torch.arange(20.0)})
    assert entries.read("abcd") is not None
    harmed = {key: value for key, value in (about | harm).items() if value is not GONE}
    assert entries.write("abcd", harmed, {name: torch.arange(20.0)})
    assert entries.read("abcd") is None


def test_an_index_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "abcd.json").write_text("[" * 100_000)
    assert DiskCache(tmp_path, 1e9).read("abcd") is None


def test_a_checkpoint_that_torch_cannot_read_whose_checksum_is_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_arguments: Any, **_options: Any) -> None:
        raise KeyError("storages")

    checkpoint = Checkpoint(tmp_path / "fit.checkpoint", 0)
    checkpoint.write(STATE)
    monkeypatch.setattr(torch, "load", lost)
    assert checkpoint.read() is None


def test_a_folder_in_the_place_of_a_checkpoint_costs_no_run(train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    job = ["strategy=source_only", "baselines=[]"]
    assert train_tiny(*job).code == 0
    (index,) = tmp_path.glob("cache/stages/*/*.json")
    index.unlink()
    index.with_suffix(".checkpoint").mkdir()
    said = train_tiny(*job, "overwrite=true")
    assert said.code == 0, said.err
    (result,) = tmp_path.glob("runs/**/result.json")
    assert json.loads(result.read_text())["status"] == "ok"


def test_what_a_killed_process_had_begun_to_write_goes_with_the_next(tmp_path: Path) -> None:
    entries = DiskCache(tmp_path, 1e9)
    (tmp_path / "ab").mkdir()
    begun = [tmp_path / "ab" / f".abcd.{kind}.4242.transferlab" for kind in ("json", "safetensors", "checkpoint")]
    others = [tmp_path / "ab" / name for name in (".ef01.json.4242.transferlab", ".abcd.mine", ".abcd.json.2024")]
    for path in [*begun, *others]:
        path.touch()
    with entries.exclusive("abcd"):
        assert not any(path.exists() for path in begun)
        assert all(path.exists() for path in others)


@pytest.mark.parametrize(
    "files",
    [
        *({"../../etc/passwd": "x"}, {"/etc/passwd": "x"}, {"..": "x"}, {".": "x"}, {"": "x"}),
        *({"pipe": "x"}, {"endless": "x"}, {"here": None}, {"x" * 5000: "x"}, ["here"], None, "here"),
    ],
)
def test_results_that_name_what_is_no_file_of_theirs(tmp_path: Path, files: Any) -> None:
    assert not _usable_with(tmp_path, files)


@pytest.mark.parametrize("name", ["gone", "a\0b", "\ud800"])
def test_results_whose_files_are_gone(tmp_path: Path, name: str) -> None:
    assert _usable_with(tmp_path, {name: "x"})


def test_a_result_that_names_files_needs_its_own_checksum(tmp_path: Path) -> None:
    result = _result() | {"files": {}}
    del result["sha256"]
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert not is_usable(tmp_path / "result.json", {})


def _usable_with(folder: Path, files: Any) -> bool:
    (folder / "here").write_text("I am here")
    os.mkfifo(folder / "pipe")
    (folder / "endless").symlink_to("/dev/zero")
    path = folder / "result.json"
    result = _result() | {"files": files}
    path.write_text(json.dumps(result | {"sha256": json_digest(result)}))
    return is_usable(path, {})


def _result() -> dict[str, Any]:
    names = dict.fromkeys(
        ("run_id", "comparison_id", "source", "target", "backbone", "strategy", "variant", "loss"), "x"
    )
    result = {
        **{"schema_version": SCHEMA_VERSION, "status": "ok", "seed": 0, "target_labels_per_class": 3, **names},
        **{"metrics": {"target_accuracy": 0.5}, "timing": {"seconds": 1.0}, "warnings": []},
    }
    return result | {"sha256": json_digest(result)}


@given(HARMS)
@MANY
def test_results(tmp_path: Path, harm: Harm) -> None:
    path = tmp_path / "runs" / "x" / "seed0" / "result.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(_result(), indent=2).encode()
    path.write_bytes(_harmed(content, harm))
    found, reasons = read_results(tmp_path)
    assert len(found) + len(reasons) == 1
    if len(found):
        left = json.loads(path.read_text())
        assert left == json.loads(content) or "sha256" not in left  # a result without one isn't checked


def test_a_folder_copied_over_another_runs_is_not_its_own(train_tiny: Callable[..., Said], tmp_path: Path) -> None:
    """`train` and `compare` agree: the copy counts for neither."""
    job = ["strategy=source_only", "baselines=[]", "seeds=[0,1]"]
    train_tiny(*job)
    first, second = sorted(tmp_path.glob("runs/**/seed*"))
    before = json.loads((second / "result.json").read_text())["metrics"]
    shutil.rmtree(second)
    shutil.copytree(first, second)
    said = train_tiny(*job)
    assert "training 1 run: source_only (1); 1 holds another run's files" in said.err
    assert json.loads((second / "result.json").read_text())["metrics"] == before
    assert "nothing to train: 2 of 2 found" in train_tiny(*job).err
