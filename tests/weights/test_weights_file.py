"""A file of weights is told by what is in it; what isn't one is refused in plain words."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from transferlab.errors import Refusal
from transferlab.weights.weights_file import read_weights


def refusal(path: Path) -> str:
    with pytest.raises(Refusal) as refused:
        read_weights(path)
    text = str(refused.value)
    assert text.startswith(f"backbone.weights={path}: ")
    assert "\x1b" not in text
    assert text.count("\n") <= 1
    return text.partition(": ")[2]


@pytest.mark.parametrize("name", ["w.pth.tar", "w.ckpt", "w.pkl", "w.th", "w.weights", "w", "w.safetensors"])
@pytest.mark.parametrize("kind", ["archive", "legacy", "protocol 4", "safetensors"])
def test_the_end_of_a_name_says_nothing(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if kind == "safetensors":
        path.write_bytes(save({"a": torch.ones(2)}))
    else:
        options = {"_use_new_zipfile_serialization": kind == "archive"}
        torch.save({"a": torch.ones(2)}, path, pickle_protocol=4 if kind == "protocol 4" else 2, **options)
    content = read_weights(path)
    assert torch.equal(content.values["a"], torch.ones(2))
    assert content.safe == (kind == "safetensors")


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(name, "x" * 100)
    return content.getvalue()


def arrays() -> bytes:
    content = io.BytesIO()
    np.savez(content, a=np.ones(3))
    return content.getvalue()


def tarred() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model/data"))
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: b"", "is an empty file"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 46830571\n", "git lfs pull"),
        (lambda: b"\n<!DOCTYPE html>\n<html><body>Sign in" + b" " * 5000, "is a web page"),
        (lambda: b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(500), "HDF5"),
        (arrays, "numpy's arrays"),
        (lambda: b"\x93NUMPY\x01\x00" + bytes(500), "array of numpy's"),
        (lambda: gzip.compress(b"weights"), "is compressed"),
        (tarred, "is a tar archive"),
        (lambda: b"\x08\x08\x12\x07pytorch\x1a\x052.0.0:" + bytes(500), "ONNX"),
        (lambda: b"GGUF\x03\x00\x00\x00" + bytes(500), "GGUF"),
        (lambda: zipped("model/constants.pkl"), "is a TorchScript archive"),
        (lambda: zipped("model.weights.h5"), "is a Keras archive"),
        (lambda: zipped("resnet18.pth"), "is a zip archive that torch.save didn't write"),
        (lambda: '{"weight_map": {"é": 1}}'.encode() * 300, "is a text file"),
        (lambda: pickle.dumps({"a": np.ones(3)}), "is a pickle that torch.save didn't write"),
        (lambda: b"\xff\xd8\xff\xe0" + bytes(500), "is no file of weights that is known here"),
        (lambda: save({"a": torch.ones(50)})[:-20], "safetensors file is cut off or damaged"),
        (lambda: save({"a": torch.ones(50)})[:30], "safetensors file is cut off or damaged"),
        (lambda: zipped("w/data.pkl")[:60], "cut off or damaged; copy or download it again"),
        (lambda: zipped("w/data.pkl"), "cut off or damaged; copy or download it again"),
    ],
)
def test_what_is_no_file_of_weights_is_called_by_its_name(
    content: Callable[[], bytes], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content())
    assert words in refusal(path)


def test_what_is_no_file_at_all_is_refused_at_once(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.pth") == "there is no such file"
    assert refusal(tmp_path).startswith("is a folder")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe").startswith("is no ordinary file")
    assert refusal(Path("/dev/zero")).startswith("is no ordinary file")
    assert "too long" in refusal(tmp_path / ("a" * 300))


def test_quantised_storages_are_named(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "w", _use_new_zipfile_serialization=False)
    content = (tmp_path / "w").read_bytes().replace(b"torch\nFloatStorage", b"torch\nQInt8Storage")
    (tmp_path / "w").write_bytes(content)
    assert "quantised" in refusal(tmp_path / "w")


def test_a_path_that_is_not_utf_8_is_read_like_others(tmp_path: Path) -> None:
    for name in ("s.safetensors", os.fsdecode(b"s\xe9.safetensors")):
        (tmp_path / name).write_bytes(save({"a": torch.ones(2)}))
        assert torch.equal(read_weights(tmp_path / name).values["a"], torch.ones(2))
