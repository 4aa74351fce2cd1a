"""No file and no config runs code that nobody allowed."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from jobs import TINY, Said

from transferlab.errors import Unwritable
from transferlab.experiment.execution import run_experiment
from transferlab.experiment.run import Run
from transferlab.system.files import begun, write_whole
from transferlab.training.checkpoint import Checkpoint

Train = Callable[..., Said]


class Attack:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (self.mark,)  # type: ignore[return-value]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


def test_the_attack_works_where_pickles_are_believed(mark: Path) -> None:
    pickle.loads(pickle.dumps(Attack(mark)))
    assert mark.exists()


def _pickled(mark: Path) -> bytes:
    return pickle.dumps(Attack(mark), protocol=2)  # torch.save's, and the one that torch.load expects


def _saved(mark: Path) -> bytes:
    path = mark.with_name("saved")
    torch.save({"state_dict": {"weight": Attack(mark)}}, path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors"])
@pytest.mark.parametrize("made", [_pickled, _saved])
def test_weights(transferlab: Train, mark: Path, made: Callable[[Path], bytes], suffix: str) -> None:
    path = mark.with_name(f"weights.{suffix}")
    path.write_bytes(made(mark))
    said = transferlab("train", *TINY, "backbone=resnet18", f"backbone.weights={path}", f"output_root={mark.parent}")
    assert said.code == 2
    assert f"backbone.weights={path}" in said.err
    assert "Traceback" not in said.err
    assert not mark.exists()


@pytest.mark.parametrize("made", [_pickled, _saved])
def test_checkpoints(mark: Path, made: Callable[[Path], bytes]) -> None:
    """With a right checksum too, as one who means harm would give it."""
    import hashlib

    path = mark.with_name("fit.checkpoint")
    path.write_bytes(hashlib.sha256(b"fit" + made(mark)).digest() + made(mark))
    assert Checkpoint(path, 0).read() is None
    assert not mark.exists()


TARGETS = [
    "os.system",
    "builtins.eval",
    "subprocess.run",
    "pathlib.Path",
    "transferlab",
    "transferlab.system.files.os.system",
    "transferlab.system.files.os",
    "transferlab.system.files.Path",
    "transferlabx.losses.MMD",
    "transferlab..os.system",
    "transferlab.losses.discrepancy:MMD",
    "",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "key", ["source", "target", "backbone", "strategy", "loss", "optimizer", "schedule", "validator"]
)
def test_targets(transferlab: Train, tmp_path: Path, key: str, target: str) -> None:
    given = ["strategy=adapt", "loss=mmd", f"output_root={tmp_path}", f"{key}._target_={target}"]
    said = transferlab("train", *TINY, "backbone=lenet", "optimizer=sgd", *given)
    assert said.code == 2, said.out
    assert f"{key}._target_={target}:" in said.err
    assert len(said.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


ATTACKS = {
    "hydra.sweeper._target_=pathlib.Path.touch": "hydra.sweeper._target_=pathlib.Path.touch: of Hydra's",
    "hydra.launcher._target_=pathlib.Path.touch": "hydra.launcher._target_=pathlib.Path.touch: of Hydra's",
    "+hydra.callbacks.evil._target_=pathlib.Path.touch": "hydra.callbacks.evil._target_=pathlib.Path.touch: of Hydra's",
    "+hydra.job_logging.handlers.evil.class=pathlib.Path.touch": "hydra.job_logging.handlers.evil.class=pathlib",
    "+hydra.hydra_logging.handlers.evil.class=pathlib.Path.touch": "hydra.hydra_logging.handlers.evil.class=pathlib",
    "hydra/job_logging=none": "hydra.job_logging.root=None: of Hydra's",
    "hydra.run.dir=elsewhere": "hydra.run.dir=elsewhere: of Hydra's settings only",
    "hydra.output_subdir=elsewhere": "hydra.output_subdir=elsewhere: of Hydra's settings only",
    "hydra.job.chdir=true": "hydra.job.chdir=True: of Hydra's settings only",
    "+hydra.job.env_set.LD_PRELOAD=evil.so": "hydra.job.env_set.LD_PRELOAD=evil.so: of Hydra's",
    "hydra.searchpath=[pkg://evil]": "configs are read from folders alone",
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("flag", [[], ["-m"], ["--cfg", "job"]])
def test_hydras_own_parts(
    transferlab: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str, flag: list[str]
) -> None:
    called: list[object] = []
    monkeypatch.setattr(Path, "touch", lambda *given, **more: called.append((given, more)))
    job = [*flag, *TINY, "strategy=source_only", "baselines=[]", f"output_root={tmp_path}", attack]
    said = transferlab("train", *job)
    assert not called
    assert said.code == 2, said.err
    assert ATTACKS[attack] in said.err
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["../../out", "/etc/out", "a/b", "..\\\\out", "x" * 300, "out\\nside"])
@pytest.mark.parametrize("role", ["source", "target", "backbone", "strategy"])
def test_names_that_would_leave_the_folder(transferlab: Train, tmp_path: Path, role: str, name: str) -> None:
    root = f"output_root={tmp_path / 'root'}"
    said = transferlab("train", *TINY, "backbone=lenet", root, f'{role}.name="{name}"')
    assert said.code == 2, said.out
    assert "letters, digits and . _ + - only" in said.err
    assert not (tmp_path / "root").exists()


def test_a_result_that_names_another_folder_writes_nothing_there(transferlab: Train, tmp_path: Path) -> None:
    """`compare` reads whatever stands in result files; it takes no path from them, and escapes what it prints."""
    folder = tmp_path / "root" / "runs" / "a" / "seed0"
    folder.mkdir(parents=True)
    evil = {
        **{"schema_version": 1, "run_id": "../../x", "comparison_id": "../../y", "status": "ok", "seed": 0},
        **{"source": "../s|`<b>", "target": "$(touch x)\\input{evil}", "backbone": "b&_%", "strategy": "dann"},
        **{"variant": "<script>", "loss": "l", "target_labels_per_class": 3},
        **{"metrics": {"target_accuracy": 0.5}, "timing": {"seconds": 1.0}},
    }
    (folder / "result.json").write_text(json.dumps(evil))
    said = transferlab("compare", f"output_root={tmp_path / 'root'}")
    assert said.code == 0, said.err
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {
        "root/runs/a/seed0/result.json",
        *(f"root/comparison/table.{kind}" for kind in ("csv", "md", "tex")),
    }
    markdown = (tmp_path / "root" / "comparison" / "table.md").read_text()
    assert "<script>" not in markdown.replace("\\<", "")
    latex = (tmp_path / "root" / "comparison" / "table.tex").read_text()
    assert "\\input{evil}" not in latex


ATTEMPTS: list[tuple[str, list[str]]] = [
    *(("itself", []), ("swept", []), ("late", []), ("wrong", [])),
    *(("again", ["allow_packages=[]"]), ("again", ["allow_packages=[json]"])),
]
MINE = "def mine(groups, *, lr: float, momentum: float, nesterov: bool, weight_decay: float): ...\n"


def test_no_config_allows_itself_code(
    transferlab: Train, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an experiment or in a sweep's parameters; on the command line it is the user who allows it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "evil.py").write_text(f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n{MINE}")
    experiments = tmp_path / "configs" / "experiment"
    experiments.mkdir(parents=True)
    (experiments / "itself.yaml").write_text("# @package _global_\nallow_packages: [evil]\n")
    sweep = "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      allow_packages: '[evil]'\n"
    (experiments / "swept.yaml").write_text(f"# @package _global_\n{sweep}")
    (experiments / "wrong.yaml").write_text("# @package _global_\nallow_packages: true\n")
    again = f"{sweep.replace('evil', '')}      ++allow_packages: '[evil]'\n"
    (experiments / "again.yaml").write_text(f"# @package _global_\n{again}")
    late = "defaults:\n  - override /source: multi\nsource:\n  domains: [innocent]\n"
    (experiments / "late.yaml").write_text(
        f"# @package _global_\n{late}allow_packages: ${{oc.select:source.innocent.pkgs,null}}\n"
    )
    (experiments.parent / "domain").mkdir()
    (experiments.parent / "domain" / "innocent.yaml").write_text("_target_: evil.mine\nname: x\npkgs: [evil]\n")
    for name, more in ATTEMPTS:
        job = [
            "--config-dir",
            str(tmp_path / "configs"),
            f"experiment={name}",
            "optimizer=sgd",
            "optimizer._target_=evil.mine",
            *more,
        ]
        said = transferlab("train", *(TINY[2:] if name == "late" else TINY), *job, f"output_root={tmp_path / 'out'}")
        assert said.code == 2, said.out
        assert said.err.startswith("transferlab: allow_packages"), said.err
        assert len(said.err.splitlines()) == 1
        assert not mark.exists()
    job = ["--config-dir", str(tmp_path / "configs"), "optimizer=sgd", "optimizer._target_=evil.mine"]
    transferlab("train", *TINY, *job, "allow_packages=[evil]", f"output_root={tmp_path / 'out'}")
    assert mark.exists(), "the attack works where it is allowed"


def test_nor_does_one_write_elsewhere(transferlab: Train, tmp_path: Path) -> None:
    """By Hydra's keys in an experiment, and in the parameters of a sweep."""
    experiments = tmp_path / "configs" / "experiment"
    experiments.mkdir(parents=True)
    hydras = {"run": "run: {dir: elsewhere}", "sub": "output_subdir: elsewhere", "env": "job: {env_set: {A: b}}"}
    swept = "mode: MULTIRUN\n  sweeper: {params: {hydra.run.dir: elsewhere}}"
    searched = "mode: MULTIRUN\n  sweeper: {params: {hydra.searchpath: '[pkg://evil]'}}"
    for name, text in {**hydras, "swept": swept, "searched": searched}.items():
        (experiments / f"{name}.yaml").write_text(f"# @package _global_\nhydra:\n  {text}\n")
        job = ["--config-dir", str(tmp_path / "configs"), f"experiment={name}", f"output_root={tmp_path / 'out'}"]
        said = transferlab("train", *TINY, *job)
        assert said.code == 2, said.out
        assert "of Hydra's settings only" in said.err or "from folders alone" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("name", [".lock", "train.log", "state.json", "metrics.csv", "config.yaml", "result.json"])
def test_a_link_in_a_runs_folder_harms_nothing(
    link: Callable[[Path, Path], None], name: str, tiny_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = tiny_run("strategy=source_only", "steps=1")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    run.folder.mkdir(parents=True)
    link(run.folder / name, victim)
    refused = (name, link) == (".lock", Path.symlink_to)
    with pytest.raises(Unwritable) if refused else nullcontext():
        run_experiment(run, run.title)
    assert victim.read_text() == "precious"


def test_nor_does_one_where_a_file_is_begun(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    begun(tmp_path / "table.csv").symlink_to(victim)
    write_whole(tmp_path / "table.csv", "a,b\n")
    assert victim.read_text() == "precious"
    assert (tmp_path / "table.csv").read_text() == "a,b\n"
