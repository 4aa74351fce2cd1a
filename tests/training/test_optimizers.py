"""Optimisers are torch's own, without what torch.compile needs of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from jobs import TINY, Said
from torch import nn

from transferlab.training.optimizers import adamw, sgd

UNUSED = ("torch._dynamo", "torchvision", "sympy")


def test_a_run_imports_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    program = (
        "import sys; from transferlab import cli; code = cli.run(sys.argv[1:]); "
        f"print([name for name in {UNUSED} if name in sys.modules]); sys.exit(code)"
    )
    job = ["-m", *TINY, "strategy=source_only", "baselines=[]", "optimizer=sgd,adamw", f"output_root={tmp_path}"]
    job.append("parallel=1")  # both in the process that is asked
    done = subprocess.run(
        [sys.executable, "-c", program, "train", *job], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("options", "code"), [("lr: 0.01", 0), ("lr_decay: 0.1", 2), ("lr: fast", 2), ("momentum: 1", 2)]
)
def test_a_file_may_name_any_optimiser_of_pytorch(
    transferlab: Callable[..., Said], tmp_path: Path, options: str, code: int
) -> None:
    folder = tmp_path / "configs" / "optimizer"
    folder.mkdir(parents=True)
    (folder / "adagrad.yaml").write_text(f"_target_: torch.optim.Adagrad\nname: adagrad\n{options}\n")
    job = [*TINY, "strategy=source_only", "baselines=[]", "--config-dir", str(folder.parent), "optimizer=adagrad"]
    said = transferlab("train", *job, f"output_root={tmp_path / 'out'}")
    assert said.code == code, said.err
    assert "Traceback" not in said.err
    if code == 2:
        assert said.err.startswith("transferlab: optimizer")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            lambda groups: sgd(groups, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
            lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=0.01, fused=True),
        ),
        (
            lambda groups: adamw(groups, lr=0.1, betas=[0.8, 0.99], weight_decay=0.1),
            lambda groups: torch.optim.AdamW(groups, betas=(0.8, 0.99), weight_decay=0.1, fused=True),
        ),
    ],
)
def test_steps_are_those_of_torch(
    ours: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
    theirs: Callable[[list[dict[str, Any]]], torch.optim.Optimizer],
) -> None:
    start = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    ends: list[torch.Tensor] = []
    for make in (ours, theirs):
        quick, slow = nn.Parameter(start[0].clone()), nn.Parameter(start[1].clone())
        optimizer = make([{"params": [quick], "lr": 0.1}, {"params": [slow], "lr": 0.01}])
        for _ in range(20):
            (quick * slow).pow(2).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
            assert quick.grad is slow.grad is None
        ends.append(torch.stack([quick.detach(), slow.detach()]))
    assert torch.equal(*ends)
    assert not torch.equal(ends[0], start)
