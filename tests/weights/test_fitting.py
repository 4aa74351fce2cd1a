"""The tensors of a network are found in a file by name and shape, whatever stands around them."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from transferlab.backbones.pretrained import Pretrained, chosen, ours
from transferlab.errors import Refusal
from transferlab.weights.torch_file import Unread
from transferlab.weights.weights_file import Content


class Network(nn.Module):
    """Eight tensors, and no last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.blocks = nn.Sequential(nn.Conv2d(4, 6, 3))
        self.fc = nn.Identity()


def weights(value: float) -> dict[str, Tensor]:
    return {
        name: torch.full_like(one, value if one.is_floating_point() else 0)
        for name, one in Network().state_dict().items()
    } | {"fc.weight": torch.ones(2, 6)}


def begun(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: one for name, one in state.items()}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("transferlab"), "propagate", True)
    caplog.set_level(logging.INFO, "transferlab")
    return caplog


def loaded(content: Any) -> float:
    """What all weights of the network are once the content of a file was loaded; they are alike."""
    network = Network()
    chosen("w.pth", Content(content, safe=False), network).load_into(network)
    values = {float(one) for weight in network.parameters() for one in weight.detach().unique()}
    assert len(values) == 1
    return values.pop()


PREFIXES = "module. model. net. _orig_mod. module.module. encoder_q. backbone. encoder. student. model.backbone. a.b.c."
KEYS = ["state_dict", "model_state_dict", "model", "ema", "model_ema", "net", "params", "teacher", "weights"]


@pytest.mark.parametrize("prefix", ["", *PREFIXES.split()])
@pytest.mark.parametrize("keys", ["", *KEYS, "checkpoint model", "a b c"])
def test_containers_and_beginnings_are_derived(prefix: str, keys: str, log: pytest.LogCaptureFixture) -> None:
    content: Any = begun(prefix, weights(3.0)) | ({"head.bias": torch.ones(2)} if prefix else {})
    for key in reversed(keys.split()):
        content = {"epoch": 3, key: content, "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}}
    assert loaded(content) == 3.0
    (record,) = log.records
    title = ".".join([*keys.split(), *([prefix[:-1]] if prefix else [])])
    assert record.levelno == logging.INFO
    assert f"9 of 9 tensors loaded{f' from {title}' if title else ''}; not used: fc.weight" in record.message


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ({"model": weights(1.0), "model_ema": weights(2.0)}, "model_ema, which model would fit as well"),
        ({"state_dict_ema": weights(2.0), "state_dict": weights(1.0)}, "state_dict_ema, which state_dict would"),
        ({"model": weights(1.0), "EMA": weights(2.0)}, "EMA, which model would fit"),
        ({"model": weights(1.0), "ema": {"module": weights(2.0)}}, "ema.module, which model would fit"),
        (
            {"student": begun("module.backbone.", weights(1.0)), "teacher": begun("backbone.", weights(2.0))},
            "teacher.backbone, which student.module.backbone would",
        ),
        (begun("encoder_k.", weights(1.0)) | begun("encoder_q.", weights(2.0)), "encoder_q, which encoder_k would"),
    ],
)
def test_of_several_networks_a_stated_rule_takes_one(content: Any, title: str, log: pytest.LogCaptureFixture) -> None:
    assert loaded(content) == 2.0
    assert f"tensors loaded from {title}" in log.text


def test_of_several_without_a_rule_none_is_guessed() -> None:
    with pytest.raises(
        Refusal, match=r"^backbone.weights=w.pth: first, second.a fit alike; save .* one of them alone$"
    ):
        loaded({"first": weights(1.0), "second": begun("a.", weights(2.0))})
    assert loaded({"first": weights(1.0), "second": weights(1.0)}) == 1.0  # the same, whichever it is


def test_networks_are_found_in_lists_and_each_is_looked_at_once(log: pytest.LogCaptureFixture) -> None:
    many: Any = {"x": 1}
    for _ in range(9):
        many = {str(key): many for key in range(30)}
    assert loaded([many, [weights(3.0), 7]]) == 3.0
    assert "loaded from 1.0;" in log.text
    with pytest.raises(Refusal, match="expected a file of named tensors"):
        loaded(many)


def test_the_one_that_fits_better_is_taken_without_a_rule() -> None:
    part = {name: one for name, one in weights(2.0).items() if name.startswith("stem.0")}
    assert loaded({"state_dict": weights(1.0), "ema": part}) == 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"blocks.1.weight": torch.ones(3)}, "9 of 9 tensors loaded; 1 of the file not used: blocks.1.weight; is it a"),
        ({"layer5.weight": torch.ones(3)}, "9 of 9 tensors loaded; 1 of the file not used: layer5.weight; is it a"),
        ({"blocks.0.bias": None}, "8 of 9 tensors loaded; missing: blocks.0.bias"),
        ({"blocks.0.bias": torch.ones(7)}, "8 of 9 tensors loaded; of another shape: blocks.0.bias"),
        ({"blocks.0.bias": torch.ones(6).long()}, "8 of 9 tensors loaded; of another type: blocks.0.bias"),
        ({"blocks.0.bias": torch.ones(6).cfloat()}, "8 of 9 tensors loaded; of another type: blocks.0.bias"),
        ({"blocks.0.bias": Unread("torch._utils._rebuild_qtensor")}, "8 of 9 .*; of another type: blocks.0.bias"),
        ({"blocks.0.bias": torch.ones(6) * torch.inf}, "8 of 9 tensors loaded; not finite: blocks.0.bias"),
        ({"blocks.0.bias": torch.ones(6).double() * 1e300}, "8 of 9 tensors loaded; not finite: blocks.0.bias"),
        ({"blocks.\x1b[31m.weight": torch.ones(1)}, r"not used: blocks.\\x1b\[31m.weight"),
    ],
)
def test_a_partial_fit_is_a_warning(changes: dict[str, Any], words: str, log: pytest.LogCaptureFixture) -> None:
    state = {name: one for name, one in (weights(1.0) | changes).items() if one is not None}
    network = Network()
    chosen("w.pth", Content(state, safe=False), network).load_into(network)
    (record,) = log.records
    assert record.levelno == logging.WARNING
    assert re.search(words, record.message), record.message


@pytest.mark.parametrize(
    "part", ["AuxLogits.conv0.conv.weight", "aux1.fc1.bias", "projector.0.weight", "heads.head.weight", "queue"]
)
def test_what_stands_behind_the_network_is_no_warning(part: str, log: pytest.LogCaptureFixture) -> None:
    assert loaded(weights(1.0) | {part: torch.ones(2)}) == 1.0
    assert log.records[-1].levelno == logging.INFO


def test_counters_may_be_missing(log: pytest.LogCaptureFixture) -> None:
    assert loaded({name: one for name, one in weights(1.0).items() if "num_batches" not in name}) == 1.0
    assert log.records[-1].levelno == logging.INFO


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_loaded(dtype: torch.dtype) -> None:
    assert loaded({name: one.to(dtype) for name, one in weights(1.5).items()}) == 1.5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "expected a file of named tensors"),
        ([torch.ones(2)], "expected a file of named tensors"),
        (torch.ones(2), "expected a file of named tensors"),
        ({"epoch": 3, "lr": 0.1}, "expected a file of named tensors"),
        ({"a.weight": torch.ones(2)}, "nothing in it fits; it has a.weight; the network has stem.0.weight"),
        ({"a\x1b[2J\u202e": torch.ones(2)}, r"it has a\\x1b\[2J\\u202e; the network"),
        ({"stem.0.bias": torch.ones(4)}, "only 1 of the network's 8 tensors fit; missing: stem.0.weight"),
        ({name: one.long() for name, one in weights(1.0).items()}, "nothing in it fits; of another type: stem.0"),
        ({name: one * torch.nan for name, one in weights(1.0).items()}, "nothing in it fits; not finite: stem.0"),
        ({"a": Unread("torch._utils._rebuild_sparse_tensor")}, "sparse, quantised or without data"),
        ({"model": Unread("x.Net", is_module=True)}, r"a whole network \(x.Net\).* torch.save\(model.state_dict\(\)"),
        (Unread("x.Net", is_module=True), r"a whole network \(x.Net\), not named tensors; in the program"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(content: Any, words: str) -> None:
    with pytest.raises(Refusal, match=f"^backbone.weights=w.pth: .*{words}"):
        loaded(content)


def test_ours_is_told_from_a_foreign_file_with_a_backbone() -> None:
    def is_ours(names: list[str], safe: bool = True) -> Pretrained | None:
        return ours("w", Content({name: torch.ones(1) for name in names}, safe=safe))

    run = ["backbone.stem.0.weight", "backbone.block1.0.conv1.weight", "bottleneck.0.weight", "head.weight"]
    begun_random, begun_pretrained = is_ours(run), is_ours([*run, "backbone.normalize.mean"])
    assert begun_random
    assert not begun_random.normalized
    assert begun_pretrained
    assert begun_pretrained.normalized
    assert is_ours(["backbone.network.blocks.0.weight", "bottleneck.0.weight"])
    assert not is_ours(["backbone.network.conv1.weight", "head.weight"])
    assert not is_ours(["backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "head.weight"])
    assert not is_ours(["backbone.stem.0.weight", "backbone.trunk_output.block1.weight"])
    assert not is_ours(["head.weight"])
    assert not is_ours(run, safe=False)  # a run writes safetensors alone
    for content in (None, [weights(1.0)], {1: torch.ones(1)}, Unread("x.Net")):
        assert ours("w", Content(content, safe=False)) is None
