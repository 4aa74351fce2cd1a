"""Reads files of torch.save so that nothing in them can run.

A pickle is a program: it names functions and has them called. Here every name becomes a class of ours that
only records its arguments; afterwards the records that describe tensors are made into tensors.
So a file may also contain a training script's arguments or numpy's numbers, which torch's own
reader (``weights_only=True``) refuses.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor

from transferlab.weights.pickle_sizes import MAX_OBJECTS_IN_TUPLE, Sizes

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that begins a file in torch's format from before 1.6, which it still writes on demand."""

STORAGES = {
    "BFloat16Storage": torch.bfloat16,
    "BoolStorage": torch.bool,
    "ByteStorage": torch.uint8,
    "CharStorage": torch.int8,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "IntStorage": torch.int32,
    "LongStorage": torch.int64,
    "ShortStorage": torch.int16,
    "UntypedStorage": torch.uint8,
}
"""Types of torch's storages by the last part of their names; on a GPU a name is ``torch.cuda.FloatStorage``."""


class Damaged(ValueError):
    """The file isn't whole, or isn't what torch writes."""


@dataclass(frozen=True)
class Unread:
    """Stands for an object that isn't read.

    Attributes:
        origin: full name of its class, or of torch's function that makes it.
        is_module: whether the object is a network.
    """

    origin: str
    is_module: bool = False

    @property
    def is_tensor(self) -> bool:
        """Whether the object is a tensor: sparse, quantised, without data, or of another kind that isn't read."""
        return self.origin.startswith("torch._utils._rebuild_")


class _Record(dict[Any, Any]):
    """Stands for an object that a pickle makes by a class or function: keeps their name, the arguments and the state.

    Everything else that a pickle can do to an object is accepted and ignored.
    """

    origin = ""
    args: tuple[Any, ...] = ()
    state: Any = None

    def __new__(cls, *args: Any, **_: Any) -> _Record:
        self = super().__new__(cls)
        self.args = args
        return self

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    __hash__ = object.__hash__  # pyright: ignore[reportAssignmentType]
    __eq__ = object.__eq__

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *_: Any, **__: Any) -> _Record:
        return _Record()

    def append(self, _: Any) -> None:
        """Ignores the value."""

    extend = add = append


class _SafeUnpickler(pickle.Unpickler):
    """An unpickler that imports nothing and calls only :class:`_Record`.

    Attributes:
        storages: records of the storages' types, by the storages' keys.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", errors="surrogateescape")
        self.storages: dict[str, Any] = {}

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        return type("_Record", (_Record,), {"origin": f"{module_name}.{global_name}"})

    def persistent_load(self, pid: Any, /) -> Any:
        if pid[0] == "module":  # a class, before 1.6 with its source
            return pid[1]
        if not isinstance(pid[2], str | int):
            raise Damaged("it is cut off or damaged")
        self.storages[str(pid[2])] = pid[1]
        return pid


def read_torch(path: Path) -> Any:
    """The content of a file: mappings as dicts, sequences as lists, tensors on the CPU, numbers, text; else ``Unread``.

    Raises:
        Damaged: if the file can't be read; the text says why.
    """
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                file.seek(0)
                return _read_legacy(file)
            with zipfile.ZipFile(file) as archive:
                return _read_archive(archive)
    except Damaged:
        raise
    except MemoryError:
        raise Damaged("it asks for more memory than there is") from None
    except Exception as error:  # readers raise errors of all kinds on bytes that are no pickle or archive
        raise Damaged("it is cut off or damaged") from error


def _read_archive(archive: zipfile.ZipFile) -> Any:
    folder = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")
    order = f"{folder}byteorder"
    if order in archive.namelist() and archive.read(order).decode() != sys.byteorder:
        raise Damaged("it was written on a machine of another byte order")

    def record(name: str) -> bytearray:
        info = archive.getinfo(folder + name)
        if info.compress_type != zipfile.ZIP_STORED:  # a small file could unfold to any size
            raise Damaged("it was compressed by another program")
        return bytearray(archive.read(info))  # checks the checksum too

    buffers: dict[str, bytearray] = {}

    def buffer(key: str) -> bytearray:
        if key not in buffers:
            buffers[key] = record(f"data/{key}")
        return buffers[key]

    return _Converter(buffer).value(_checked_unpickler(io.BytesIO(record("data.pkl"))).load())


def _read_legacy(file: IO[bytes]) -> Any:
    """Reads five pickles, of which the fourth is the content, and after them the storages one by one."""
    magic, _, system = (_checked_unpickler(file).load() for _ in range(3))
    if magic != MAGIC or {"little": True, "big": False}[sys.byteorder] != system.get("little_endian", True):
        raise Damaged("torch.save didn't write it, or on a machine of another byte order")
    unpickler = _checked_unpickler(file)
    content = unpickler.load()
    buffers: dict[str, bytearray] = {}
    for key in _checked_unpickler(file).load():
        size = int.from_bytes(file.read(8), sys.byteorder) * _storage_type(unpickler.storages[str(key)]).itemsize
        buffers[str(key)] = bytearray(file.read(size))
        if len(buffers[str(key)]) != size:
            raise Damaged("it is cut off")
    return _Converter(buffers.__getitem__).value(content)


def _checked_unpickler(file: IO[bytes]) -> _SafeUnpickler:
    """An unpickler of the next pickle in a file, after a check that unpickling can't exhaust memory or time."""
    start = file.tell()
    sizes = Sizes()
    for code, arg, _ in pickletools.genops(file):
        size = file.tell()
        # Python allocates as many memo entries as the largest index in a PUT instruction says.
        if code.name.startswith("EXT") or (code.name.endswith("PUT") and cast(int, arg) > size):
            raise Damaged("it is cut off or damaged")
        if sizes.after(code, arg) > MAX_OBJECTS_IN_TUPLE:
            raise Damaged("it is cut off or damaged")
    size = file.tell() - start
    file.seek(start)
    return _SafeUnpickler(file.read(size))


class _Converter:
    """Converts records to values."""

    def __init__(self, buffer: Callable[[str], bytearray]) -> None:
        self._buffer = buffer
        self._known: dict[int, tuple[Any, Any]] = {}  # with the record, as Python reuses the id of a deleted object

    def value(self, record: Any) -> Any:
        """The value of a record; the same record gives the same value, and may contain itself."""
        if id(record) not in self._known:
            if isinstance(record, dict) and self._is_mapping(cast(dict[Any, Any], record)):
                mapping: dict[Any, Any] = {}
                self._known[id(record)] = record, mapping
                pairs = record.args[0] if isinstance(record, _Record) and record.args and not record else ()
                mapping.update((key, self.value(item)) for key, item in [*cast(Any, record).items(), *pairs])
            elif isinstance(record, list | tuple):
                items: list[Any] = []
                self._known[id(record)] = record, items
                items.extend(self.value(item) for item in cast(list[Any], record))
            else:
                self._known[id(record)] = record, self._single(record)
        return self._known[id(record)][1]

    @staticmethod
    def _is_mapping(record: Mapping[Any, Any]) -> bool:
        return not isinstance(record, _Record) or bool(record) or record.origin == "collections.OrderedDict"

    def _single(self, record: Any) -> Any:
        if not isinstance(record, _Record):
            return record
        args = record.args
        match record.origin:
            case "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state":
                return self.value(args[0])
            case "torch._tensor._rebuild_from_type_v2":  # a subclass of Tensor
                return self.value(args[0](*args[2]))
            case "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" if not any(args[6:]):
                return self._tensor(*args[:4])
            case "torch._utils._rebuild_tensor_v3" if not any(args[7:]):
                name = str(getattr(args[6], "origin", "")).removeprefix("torch.")
                dtype = getattr(torch, name, None)
                return self._tensor(*args[:4], dtype=dtype) if isinstance(dtype, torch.dtype) else Unread(record.origin)
            case _:
                state = record.state
                return Unread(record.origin, isinstance(state, dict) and {"_parameters", "_modules"} <= state.keys())

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *, dtype: torch.dtype | None = None) -> Tensor:
        _, kind, key, _, count, *view = storage
        stored = _storage_type(kind)
        buffer = self._buffer(str(key))
        if not view and len(buffer) != count * stored.itemsize:
            raise Damaged("it is cut off or damaged")
        content = torch.frombuffer(buffer, dtype=dtype or stored) if buffer else torch.empty(0, dtype=dtype or stored)
        start = view[0][1] if view and view[0] else 0
        return content.as_strided(tuple(size), tuple(stride), start + offset)  # torch checks the bounds


def _storage_type(kind: Any) -> torch.dtype:
    origin = str(getattr(kind, "origin", ""))
    try:
        return STORAGES[origin.rpartition(".")[2]]
    except KeyError:
        raise Damaged(f"it has quantised tensors, or others of a kind that isn't read ({origin})") from None
