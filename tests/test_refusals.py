"""Bad input: exit code 2, one or two lines that name the culprit and the choices, nothing written."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs import Said

REFUSED = {
    "misspelt strategy": (["strategy=dam"], ["strategy=dam", "dan", "dann", "finetune"]),
    "misspelt source": (["source=digitz"], ["source=digitz", "digits", "mnist5k"]),
    "misspelt loss": (["strategy=adapt", "loss=mdm"], ["loss=mdm", "mmd", "coral"]),
    "misspelt backbone": (["backbone=lnet"], ["backbone=lnet", "lenet", "resnet18"]),
    "misspelt experiment": (["experiment=smok"], ["experiment=smok", "smoke"]),
    "in a sweep": (["-m", "strategy=finetune,dam"], ["strategy=dam"]),
    "unknown key": (["stepz=3"], ["stepz", "steps"]),
    "unknown key added": (["+stepz=3"], ["stepz", "steps"]),
    "unknown option": (["strategy=finetune", "strategy.trian=head"], ["strategy.trian", "train", "last_n"]),
    "unknown option of a nested key": (["image.sise=8"], ["image.sise", "size"]),
    "a key deleted": (["~steps"], ["steps"]),
    "wrong type": (["steps=many"], ["steps=many", "a whole number"]),
    "wrong type in a sweep": (["-m", "steps=3,many"], ["steps=many", "a whole number"]),
    "fraction for a whole number": (["steps=2.5"], ["steps=2.5", "a whole number"]),
    "text for a number": (["optimizer.lr=fast"], ["optimizer.lr=fast", "a number"]),
    "wrong choice": (["strategy=finetune", "strategy.train=hed"], ["strategy.train=hed", "head", "last_n", "full"]),
    "wrong choice of a loss": (["strategy=dan", "loss.estimator=x"], ["loss.estimator=x", "biased", "linear"]),
    "out of range": (["steps=0"], ["steps=0", "at least 1"]),
    "no seeds": (["seeds=0"], ["seeds=0"]),
    "no number": (["optimizer.lr=nan"], ["optimizer.lr=nan", "a number"]),
    "a name that leaves the folder": (["strategy.name=../x"], ["../x"]),
    "two margins for one table": (["-m", "margin=1,2"], ["margin", "one table"]),
    "a list of unknown sources": (["source=[a,b]"], ["source=[a,b]", "-m"]),
    "a budget nobody reads": (["strategy=source_only", "target_labels_per_class=5000"], ["5000", "digits"]),
    "a seed twice": (["seeds=[1,1]"], ["seeds=[1, 1]"]),
    "several sources as a list": (["source=[mnist5k,digits]"], ["source=[mnist5k,digits]", "-m source=mnist5k,digits"]),
    "a list of sources as one": (["source=[mnist5k,digits]"], ["source=multi source.domains=[mnist5k,digits]"]),
    "a list of bridges": (["bridge=[mnist5k,digits]"], ["bridge=[mnist5k,digits]", "bridge.path=[mnist5k,digits]"]),
    "multi without sources": (["source=multi"], ["source=multi", "source.domains=["]),
    "misspelt in source.domains": (
        ["source=multi", "source.domains=[mnist5k,mnits5k_m]"],
        ["source.domains=mnits5k_m", "Did you mean mnist5k_m or mnist5k?", "rendered_digits"],
    ),
    "no list in source.domains": (["source=multi", "source.domains=digits"], ["source.domains=digits", "a list"]),
    "numbers in source.domains": (["source=multi", "source.domains=[1]"], ["source.domains=[1]", "a list of names"]),
    "a source twice": (["source=multi", "source.domains=[mnist5k,mnist5k]"], ["source.domains", "each data set once"]),
    "unknown key of multi": (["source=multi", "source.domans=[digits]"], ["source.domans", "Did you mean domains"]),
    "unknown option of one of several": (
        ["source=multi", "source.domains=[mnist5k,rendered_digits]", "source.rendered_digits.exmples=3"],
        ["source.rendered_digits.exmples", "Did you mean examples"],
    ),
    "an option of a source that isn't there": (
        ["source=multi", "source.domains=[mnist5k]", "source.rendered_digits.examples=3"],
        ["source.rendered_digits", "mnist5k"],
    ),
    "an option of a source within one source": (["source.mnist5k.crop=28"], ["source.mnist5k", "crop"]),
    "several targets": (["target=multi"], ["target=multi", "digits"]),
    "misspelt bridge": (["strategy=transitive", "bridge=mnits5k"], ["bridge=mnits5k", "mnist5k", "auto"]),
    "misspelt in bridge.path": (
        ["strategy=transitive", "bridge.path=[mnist5k,digitz]"],
        ["bridge.path=digitz", "Did you mean digits?", "rendered_digits"],
    ),
    "misspelt in bridge.pool": (
        ["strategy=transitive", "bridge=auto", "bridge.pool=[digitz]"],
        ["bridge.pool=digitz", "Did you mean digits?"],
    ),
    "no list in bridge.path": (["bridge.path=mnist5k"], ["bridge.path=mnist5k", "a list of names"]),
    "auto as a path": (["bridge.path=auto"], ["bridge.path=auto", "bridge=auto bridge.pool=["]),
    "a pool without auto": (["bridge.pool=[mnist5k]"], ["bridge.pool", "bridge=auto", "bridge.path=["]),
    "auto without a pool": (["strategy=transitive", "bridge=auto"], ["bridge=auto", "bridge.pool=["]),
    "auto with a path": (
        ["strategy=transitive", "bridge=auto", "bridge.pool=[mnist5k]", "bridge.path=[mnist5k]"],
        ["bridge.path=", "bridge=auto"],
    ),
    "a bridge and another path": (["bridge=mnist5k", "bridge.path=[mnist5k_m]"], ["bridge=mnist5k", "leave it out"]),
    "a bridge twice": (["bridge.path=[mnist5k,mnist5k]"], ["bridge.path", "each data set once"]),
    "unknown key of bridge": (["bridge.pth=[mnist5k]"], ["bridge.pth", "Did you mean path"]),
    "unknown option of a bridge": (
        ["strategy=transitive", "bridge=mnist5k", "bridge.mnist5k.corp=3"],
        ["bridge.mnist5k.corp", "Did you mean crop"],
    ),
    "unknown option of the probe": (
        ["strategy=transitive", "bridge=auto", "bridge.pool=[mnist5k]", "bridge.probe.fold=3"],
        ["bridge.probe.fold", "folds"],
    ),
    "a probe that can't": (
        [
            *("strategy=transitive", "bridge=auto", "bridge.pool=[rendered_digits]"),
            *("bridge.rendered_digits.examples=50", "bridge.probe.folds=40"),
        ],
        ["bridge.probe: folds=40", "30 examples"],
    ),
    "a bridge that nobody crosses": (["strategy=dann", "bridge=mnist5k"], ["bridge=mnist5k", "dann", "transitive"]),
    "a chosen bridge that nobody crosses": (
        ["strategy=dann", "bridge=auto", "bridge.pool=[mnist5k]"],
        ["bridge=auto", "dann", "transitive"],
    ),
    "nothing to cross": (["strategy=transitive"], ["strategy=transitive", "bridge=", "bridge.path=[a,b]", "auto"]),
    "bridges counted by hand": (["strategy=transitive", "bridge=mnist5k", "strategy.bridges=1"], ["strategy.bridges"]),
    "a bridge that is the target": (["strategy=transitive", "bridge=digits"], ["bridge=digits", "1797 of its images"]),
    "hops without labels": (
        ["strategy=transitive", "bridge=rendered_digits", "target_labels_per_class=0"],
        ["strategy=transitive", "target_labels_per_class=0"],
    ),
    "hops that adapt without a loss": (
        ["strategy=transitive", "strategy.hop=adapt", "bridge=rendered_digits"],
        ["strategy=transitive", "loss=mmd"],
    ),
    "hops that take no loss": (
        ["strategy=transitive", "bridge=rendered_digits", "loss=mmd"],
        ["strategy=transitive", "loss=mmd"],
    ),
    "a name too long for a folder": (["source.name=" + 130 * "x"], ["xxx", "at most 120"]),
    "several values without -m": (["strategy=dan,dann"], ["strategy=dan,dann", "-m"]),
    "no equals sign": (["strategy"], ["strategy", "key=value"]),
    "unknown flag": (["--fast"], ["--fast", "--help"]),
    "a group that is none": (["domain=digits"], ["source=", "target="]),
    "adapt without a loss": (["strategy=adapt"], ["loss=coral", "loss=mmd"]),
    "a preset with another loss": (["strategy=dann", "loss=mmd"], ["strategy=dann", "strategy=adapt loss=mmd"]),
    "a loss where none is taken": (["strategy=finetune", "loss=mmd"], ["finetune", "strategy=adapt loss=mmd"]),
    "misspelt baseline": (["baselines=[scrach]"], ["baselines=scrach", "scratch"]),
    "foreign target": (["strategy._target_=os.system"], ["strategy._target_=os.system", "allow_packages"]),
    "budget larger than a class": (["target_labels_per_class=500"], ["target_labels_per_class=500", "digits", "125"]),
    "classes that the source lacks": (
        ["source=rendered_letters", "source.examples=260", "strategy=source_only"],
        ["strategy=source_only", "only rendered_letters has A, B", "only digits has 0, 1"],
    ),
    "no labels to learn from": (["strategy=finetune", "target_labels_per_class=0"], ["target_labels_per_class=0"]),
    "a provider's own refusal": (["source=mnist5k", "source.crop=99"], ["source=mnist5k", "crop=99"]),
    "no such launcher": (["hydra.launcher._target_=x.Y"], ["hydra.launcher._target_=x.Y"]),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(
    arguments: list[str], words: list[str], transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    root = tmp_path / "outputs"
    said = transferlab("train", *arguments, f"output_root={root}")
    assert said.code == 2
    assert said.out == ""
    assert 1 <= len(said.err.splitlines()) <= 2
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err
    assert not root.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["device=mps"], ["device=mps", "cpu"]),
        (["strategy=adabn", "backbone=mlp"], ["adabn", "backbone=mlp", "BatchNorm"]),
        (["backbone=mlp", "backbone.widths=[]"], ["backbone.widths=[]"]),
        (["optimizer.lr=-1"], ["optimizer.lr=-1"]),
        (["loss.width=0"], ["loss=dann", "width=0"]),
        (["schedule.alpha=-10"], ["schedule", "alpha=-10"]),
        (["optimizer=sgd", "optimizer.momentum=0"], ["optimizer.nesterov=true"]),
        (["strategy=dan", "loss.bandwidths=[0.0]"], ["loss.bandwidths=[0.0]"]),
        (["strategy=finetune", "strategy.last_n=0"], ["strategy.last_n=0"]),
    ],
)
def test_refused_once_torch_is_there(
    arguments: list[str], words: list[str], transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    test_refused_in_words(arguments, words, transferlab, tmp_path)


def test_unknown_key_in_an_experiment_file(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "mine.yaml").write_text("# @package _global_\nsteps: 5\nstepz: 3\n")
    said = transferlab("train", "--config-dir", str(tmp_path), "experiment=mine")
    assert said.code == 2
    assert "stepz" in said.err
    assert "Did you mean steps" in said.err


def test_an_output_root_that_is_a_file(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    there = tmp_path / "outputs"
    there.write_text("mine")
    said = transferlab("train", f"output_root={there}")
    assert said.code == 2
    assert str(there) in said.err
    assert there.read_text() == "mine"


def test_unknown_command(transferlab: Callable[..., Said]) -> None:
    said = transferlab("tran")
    assert said.code == 2
    assert "train" in said.err


HEAVY = ("torch", "torchvision", "pandas", "sklearn", "scipy", "matplotlib")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["--help"], 0), (["train", "--help"], 0), (["train", "--cfg", "job"], 0), (["train", "loss.weight=heavy"], 2)],
)
def test_nothing_heavy_is_imported_before_the_config_is_known_to_be_good(arguments: list[str], code: int) -> None:
    program = (
        "import atexit, sys; from transferlab import cli; "
        f"atexit.register(lambda: print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)); "
        "sys.exit(cli.run(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.splitlines()[-1] == "[]"
