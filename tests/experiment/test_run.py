"""What a run is found by, where the config leaves something to the data or the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobs import Said, results

from transferlab.experiment.run import Run
from transferlab.system import processor
from transferlab.training.devices import has_bf16, on_this_machine


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    processor.cpu_has_bf16.cache_clear()
    yield
    processor.cpu_has_bf16.cache_clear()


def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: str) -> None:
    monkeypatch.setattr(processor, "CPU_FLAGS", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: fpu avx2 {flags}\n")
    processor.cpu_has_bf16.cache_clear()


def test_what_auto_stands_for_counts(
    tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, "avx512_bf16 amx_bf16")
    auto, bf16, fp32 = (tiny_run(f"precision={one}") for one in ("auto", "bf16", "fp32"))
    assert auto.run_id == bf16.run_id != fp32.run_id
    assert auto.comparison_id == bf16.comparison_id != fp32.comparison_id
    _machine(monkeypatch, tmp_path, "avx512f")
    assert tiny_run("precision=auto").run_id == fp32.run_id
    (channels,) = {tiny_run(f"image.channels={one}").run_id for one in ("auto", "1")}
    assert tiny_run("image.channels=3").run_id != channels


@pytest.mark.parametrize("flags", ["avx512_bf16", "avx512f"])
def test_the_run_calculates_in_the_precision_that_it_is_found_by(
    flags: str, tiny_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _machine(monkeypatch, tmp_path, flags)
    run = tiny_run("device=cpu")
    assert on_this_machine(run.config).precision == ("bf16" if "bf16" in flags else "fp32")
    assert run.run_id == tiny_run("device=cpu", f"precision={on_this_machine(run.config).precision}").run_id


@pytest.mark.skipif(sys.platform != "linux", reason="the flags are read from Linux's list")
def test_torch_sees_the_same_processor() -> None:
    import torch

    assert has_bf16("cpu") == processor.cpu_has_bf16() == bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def test_a_result_of_a_machine_with_the_other_precision_is_told_of(
    train_tiny: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arguments = ("strategy=source_only", "baselines=[]")
    _machine(monkeypatch, tmp_path, "avx512f")
    assert train_tiny(*arguments).code == 0
    _machine(monkeypatch, tmp_path, "avx512_bf16")
    said = train_tiny(*arguments)
    assert "1 run done in fp32, on another machine; precision=fp32 finds it" in said.err
    assert len(results(tmp_path)) == 2
    assert "nothing to train" in train_tiny(*arguments, "precision=fp32").err
    precisions = {json.loads(path.read_text())["environment"]["precision"] for path in tmp_path.rglob("result.json")}
    assert precisions == {"fp32", "bf16"}
