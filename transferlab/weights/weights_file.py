"""Reads files of weights. Recognises them by their content, not by the endings of their names."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, load_file

from transferlab.errors import Refusal
from transferlab.text import printable
from transferlab.weights.torch_file import MAGIC, Damaged, read_torch

COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
"""First bytes of gzip, bzip2, xz, zstd, 7z and rar files."""

MAX_HEADER_BYTES = 100_000_000
"""Largest header that safetensors accepts."""

CONVERT = "save its tensors by their names with torch.save or safetensors"


@dataclass(frozen=True)
class Content:
    """The content of a file of weights.

    Attributes:
        values: mappings, tensors, numbers and text; ``Unread`` for objects that aren't read.
        safe: whether the file is a safetensors file.
    """

    values: Any
    safe: bool


def read_weights(path: Path) -> Content:
    """The content of a file: tensors by name, and whatever else it contains.

    Args:
        path: of the file, which need not be trusted: nothing in it is run.

    Raises:
        Refusal: if it is no file of weights, or damaged; the text says what it is.
    """
    begin = f"backbone.weights={printable(str(path))}"
    try:
        if not path.exists():
            raise Refusal(f"{begin}: there is no such file")
        if not path.is_file():  # a pipe or a device might have no end
            raise Refusal(f"{begin}: is {'a folder' if path.is_dir() else 'no ordinary file'}; name a file of weights")
        with path.open("rb") as file:
            head = file.read(1024)
        size = path.stat().st_size
    except OSError as error:
        raise Refusal(f"{begin}: can't be read ({error.strerror})") from None
    if _is_safetensors(head):
        try:
            in_memory = not str(path).isprintable()  # the library accepts only paths in UTF-8
            return Content(load(path.read_bytes()) if in_memory else load_file(path), safe=True)
        except (SafetensorError, OSError, ValueError, KeyError):
            text = f"the safetensors file is cut off or damaged, of {size:,} bytes; copy or download it again"
            raise Refusal(f"{begin}: {text}") from None
    for is_kind, text in KINDS:
        if is_kind(head, path):
            raise Refusal(f"{begin}: {text.replace('PATH', printable(repr(str(path))))}")
    try:
        return Content(read_torch(path), safe=False)
    except Damaged as problem:
        advice = "copy or download it again, or save it anew with torch.save"
        raise Refusal(f"{begin}: can't be read as torch's file, for {problem}; {advice}") from None


def _is_safetensors(head: bytes) -> bool:
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") <= MAX_HEADER_BYTES


def _is_html(head: bytes, _: Path) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \r\n\t")[:5].lower() in (b"<!doc", b"<html", b"<?xml", b"<head", b"<!-- ")


def _is_text(head: bytes, _: Path) -> bool:
    try:
        text = head.decode("utf-8", "strict" if len(head) < 1024 else "ignore")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _is_onnx(head: bytes, path: Path) -> bool:
    # A protobuf message: the version of ONNX, then the name of the program that wrote the file.
    return path.suffix == ".onnx" or (head[:1] == b"\x08" and head[2:3] == b"\x12" and head[1:2] < b"\x20")


def _archive_with(text: str) -> Callable[[bytes, Path], bool]:
    """A test whether a file is a zip archive that holds a file with this text in its name."""

    def is_kind(head: bytes, path: Path) -> bool:
        return any(text in name or not text for name in _names(head, path))

    return is_kind


def _names(head: bytes, path: Path) -> list[str]:
    if not head.startswith(b"PK"):
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except Exception:  # read_torch reports what is wrong
        return []


def _is_other_archive(head: bytes, path: Path) -> bool:
    names = _names(head, path)
    return bool(names) and not any(name.endswith("/data.pkl") for name in names)


def _is_pickle(head: bytes, _: Path) -> bool:
    return head[:1] == b"\x80" and head[1:2] <= b"\x05" and MAGIC.to_bytes(10, "little") not in head[:32]


KINDS: tuple[tuple[Callable[[bytes, Path], bool], str], ...] = (
    (lambda head, _: not head, "is an empty file; copy or download it again"),
    (
        lambda head, _: head.startswith(b"version https://git-lfs"),
        "is a pointer of Git LFS, not the weights themselves; fetch them with: git lfs pull",
    ),
    (_is_html, "is a web page, not weights; the download went wrong, or was of the page about the file"),
    (lambda head, _: head.startswith(b"\x89HDF"), f"is an HDF5 file, as Keras writes; {CONVERT}"),
    (lambda head, _: head.startswith(COMPRESSED), "is compressed; unpack it, and name the file within"),
    (lambda head, _: head[257:262] == b"ustar", "is a tar archive; unpack it, and name the file within"),
    (lambda head, _: head.startswith(b"\x93NUMPY"), f"is an array of numpy's; {CONVERT}"),
    (lambda head, _: head.startswith(b"GGUF"), f"is a GGUF file; {CONVERT}"),
    (lambda head, _: head[4:8] == b"TFL3", f"is a TensorFlow Lite file; {CONVERT}"),
    (
        _archive_with("constants.pkl"),
        "is a TorchScript archive; where you trust it:\n  torch.save(torch.jit.load(PATH).state_dict(), 'weights.pth')",
    ),
    (_archive_with(".npy"), f"is an archive of numpy's arrays (.npz); {CONVERT}"),
    (_archive_with(".weights.h5"), f"is a Keras archive; {CONVERT}"),
    (_is_other_archive, "is a zip archive that torch.save didn't write; unpack it, and name the file within"),
    (_is_onnx, f"is an ONNX file; {CONVERT}"),
    (_is_text, "is a text file; name the file of the weights themselves"),
    (_is_pickle, "is a pickle that torch.save didn't write; where you trust it, load it and save it with torch.save"),
    (
        lambda head, _: not head.startswith((b"PK", b"\x80")),
        "is no file of weights that is known here: safetensors, or what torch.save writes",
    ),
)
"""Files that people take for weights: a test of first bytes and path, and a message; the first true test counts."""
