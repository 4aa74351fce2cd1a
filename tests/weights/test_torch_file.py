"""What torch.save wrote is read without running anything in it, and nothing but tensors, numbers and text."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from transferlab.weights.torch_file import Damaged, Unread, read_torch

FORMATS = pytest.mark.parametrize("archive", [True, False], ids=["archive", "legacy"])


def saved(content: object, path: Path, archive: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=archive)
    return path


class Reduced:
    """Asks for a call when it is unpickled."""

    def __init__(self, function: Any, *args: Any, state: Any = None) -> None:
        self.call = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> Any:
        return self.call


class Awake:
    """Runs code when it is given its state."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __setstate__(self, state: dict[str, str]) -> None:
        Path(state["mark"]).touch()


@FORMATS
def test_tensors_come_back_as_they_were(archive: bool, tmp_path: Path) -> None:
    base = torch.arange(12.0)
    tensors: dict[str, torch.Tensor] = {
        "transposed": base.view(3, 4).t(),
        "part": base[5:7],
        "number": torch.tensor(3.5),
        "empty": torch.empty(0, 2),
        "parameter": nn.Parameter(torch.ones(2)),
        "expanded": torch.ones(1).expand(4),
        **{str(kind): torch.ones(3).to(kind) for kind in (torch.float16, torch.bfloat16, torch.float64, torch.bool)},
        **{str(kind): torch.ones(3).to(kind) for kind in (torch.int8, torch.int64, torch.complex64, torch.uint16)},
    }
    read = read_torch(saved(OrderedDict(tensors), tmp_path / "w", archive))
    assert list(read) == list(tensors)
    for name, value in tensors.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value.detach())


@FORMATS
def test_what_stands_beside_the_tensors_does_no_harm(archive: bool, tmp_path: Path) -> None:
    content = {
        "state_dict": {"a.weight": torch.ones(2)},
        "best": np.float64(0.9),
        "curve": np.ones(3),
        "args": argparse.Namespace(lr=0.1, path=Path("/x")),
        "rates": defaultdict(list, {"a": [1, 2]}),
        "epoch": 3,
        "kind": "resnet",
        "set": {1, 2},
        "sparse": torch.eye(2).to_sparse(),
        "meta": torch.ones(2, device="meta"),
        "network": nn.Linear(1, 1),
    }
    content["self"] = content
    read = read_torch(saved(content, tmp_path / "w", archive))
    assert torch.equal(read["state_dict"]["a.weight"], torch.ones(2))
    assert (read["epoch"], read["kind"], read["rates"]) == (3, "resnet", {"a": [1, 2]})
    assert read["args"] == Unread("argparse.Namespace")
    assert read["network"].is_module
    assert not read["network"].is_tensor
    assert read["sparse"].is_tensor
    assert read["meta"].is_tensor
    assert isinstance(read["best"], Unread)
    assert read["self"] is read


ATTACKS: dict[str, Callable[[str], object]] = {
    "a call of the shell": lambda mark: Reduced(os.system, f"touch {mark}"),
    "eval": lambda mark: Reduced(eval, f"open({mark!r}, 'w').close()"),
    "a call of a method": lambda mark: Reduced(Path.touch, Path(mark)),
    "a class that wakes": Awake,
    "a call for a state": lambda mark: Reduced(OrderedDict, state={"a": Reduced(os.system, f"touch {mark}")}),
    "a call for a key": lambda mark: {Reduced(os.system, f"touch {mark}"): 1},
}


@FORMATS
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_a_file_is_run(archive: bool, attack: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    path = saved({"attack": ATTACKS[attack](str(mark)), "weights": torch.ones(2)}, tmp_path / "w", archive)
    assert torch.equal(read_torch(path)["weights"], torch.ones(2))
    assert not mark.exists()
    torch.load(path, weights_only=False)
    assert mark.exists(), "this is no attack"


def test_a_name_in_a_pickle_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "payload.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = saved({"a": torch.ones(1)}, tmp_path / "w.pth")
    attack = b"\x80\x02}X\x01\x00\x00\x00bcpayload\nthing\n)Rs."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", attack)
    assert read_torch(path) == {"b": Unread("payload.thing")}


def pickled(attack: bytes, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", attack)
        archive.writestr("w/data/0", bytes(8))
    return path


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
REBUILD = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n("


NESTED = b"K\x01K\x02\x86q\x01" + b"".join(b"0h%ch%c\x86q%c" % (i, i, i + 1) for i in range(1, 40))
"""A tuple of two tuples, of which each is one of two, forty levels down."""


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x80\x02Nr\xff\xff\xff\xff.", id="room for 4 billion objects"),
        pytest.param(b"\x80\x02\x82\x01.", id="an extension"),
        pytest.param(b"\x80\x02cos\nsystem\nK\x01\x85K\x02\x85R.", id="a call of what is no function"),
        pytest.param(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x00.", id="bytes without end"),
        pytest.param(REBUILD + STORAGE + b"K\x00K\x05\x85K\x01\x85\x89NtR.", id="a tensor beyond its storage"),
        pytest.param(REBUILD + STORAGE + b"J\xff\xff\xff\xffK\x01\x85K\x01\x85\x89NtR.", id="one before it"),
        pytest.param(REBUILD + STORAGE.replace(b"K\x02", b"K\x7f") + b"K\x00K\x02\x85K\x01\x85\x89NtR.", id="a lie"),
        pytest.param(b"\x80\x02" + b"}X\x01\x00\x00\x00a" * 9000 + b"N" + b"s" * 9000 + b".", id="depth"),
        pytest.param(b"\x80\x02}(" + NESTED + b"K\x01u.", id="a key that takes for ever to hash"),
        pytest.param(
            b"\x80\x02" + NESTED + b"0(X\x07\x00\x00\x00storageNh\x27NK\x02tQ.", id="such a name of a storage"
        ),
        pytest.param(b"\x80\x02(K\x01K\x02tQ.", id="a storage without a name"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"no pickle", id="text"),
    ],
)
def test_a_pickle_that_means_harm_is_damaged(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Damaged):
        read_torch(pickled(content, tmp_path / "w.pth"))


def test_those_attacks_fail_by_what_they_attack_with(tmp_path: Path) -> None:
    read = read_torch(pickled(REBUILD + STORAGE + b"K\x00K\x02\x85K\x01\x85\x89NtR.", tmp_path / "w.pth"))
    assert torch.equal(read, torch.zeros(2))


@FORMATS
@pytest.mark.parametrize("keep", [0.2, 0.6, 0.99])
def test_a_file_that_is_cut_off_is_damaged(archive: bool, keep: float, tmp_path: Path) -> None:
    path = saved({"a": torch.ones(100), "b": torch.ones(50)}, tmp_path / "w", archive)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(Damaged, match="cut off"):
        read_torch(path)


def test_a_changed_byte_of_an_archive_is_damage(tmp_path: Path) -> None:
    path = saved({"a": torch.full((100,), 7.0)}, tmp_path / "w")
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((9,), 7.0).numpy().tobytes()) + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match="cut off or damaged"):
        read_torch(path)


def test_an_archive_that_unfolds_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w/data.pkl", pickle.dumps({"a": bytes(10_000_000)}, protocol=2))
    with pytest.raises(Damaged, match="compressed"):
        read_torch(tmp_path / "w")
