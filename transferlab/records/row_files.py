"""Rows of CSV and Parquet files, read a chunk at a time."""

from __future__ import annotations

import csv
import lzma
import zipfile
import zlib
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from transferlab.config.values import unknown
from transferlab.errors import Refusal
from transferlab.text import counted, printable

PARQUET = (".parquet", ".pq")
"""Endings of files that are read as Parquet; all others are text, one row a line."""

SEPARATORS = ",;\t|"
"""Characters among which the separator is looked for: the one that the line of names has most often."""

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?", "-", "#N/A")
"""What stands in a column of numbers where a value is missing. In a column of text only nothing does."""

CHUNK_ROWS = 100_000
"""Rows read at a time; affects memory, not results."""


PART = "\0part"
"""Column of a frame of several files that says which option names a row's file; no file has a column of that name."""


class Named:
    """Something with named columns.

    Attributes:
        columns: their names.
        shown: what it is called, for messages.
    """

    columns: tuple[str, ...]
    shown: str

    def column(self, option: str, name: str) -> str:
        """The name, if a column has it.

        Args:
            option: under which the name was given, for the message.
            name: of a column.

        Raises:
            Refusal: with the names that are near, if none has it.
        """
        if name not in self.columns:
            names = [printable(each) for each in self.columns]
            message = unknown(f"{option}={printable(name)}: {self.shown} has no such column", name, names)
            raise Refusal(message.replace(": no such name.", ".").replace("Choices:", "Its columns:"))
        return name


class NamedColumns(Named):
    """The columns of a frame; ``shown`` is what it is called, for messages."""

    def __init__(self, frame: pd.DataFrame, shown: str) -> None:
        self.columns, self.shown = tuple(str(name) for name in frame if name != PART), shown


@dataclass(frozen=True)
class RowFile(Named):
    """A file of rows under named columns.

    Attributes:
        path: CSV in any separator, also compressed (.gz, .bz2, .xz, .zip), or Parquet.
        separator: between columns; None to look at the first lines.
        encoding: of a CSV file.
        decimal: what stands before the fraction of a number.
    """

    path: Path
    separator: str | None
    encoding: str
    decimal: str = "."

    @property
    def is_parquet(self) -> bool:
        """Whether its ending says Parquet."""
        return self.path.suffix.lower() in PARQUET

    @cached_property
    def columns(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride] (read when it is asked for)
        """The names of the columns.

        Raises:
            Refusal: if the file is empty, can't be read, or has a column twice or without a name.
        """
        with self._reading():
            names = self._parquet_names() if self.is_parquet else self._csv_names()
        for name in names:
            if not name.strip():
                raise Refusal(f"{self.shown}: a column has no name; the first line names the columns")
            if names.count(name) > 1:
                raise Refusal(f"{self.shown}: two columns are called {printable(name)}; each needs a name of its own")
        return tuple(names)

    @property
    def shown(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The path, for messages."""
        return printable(str(self.path))

    def chunks(self, columns: Collection[str]) -> Iterator[pd.DataFrame]:
        """The rows, some at a time, as text as it is written; nothing is a missing value.

        Args:
            columns: that are read.

        Raises:
            Refusal: if the file can't be read to its end.
        """
        wanted = [name for name in self.columns if name in columns]
        with self._reading():
            yield from self._parquet_chunks(wanted) if self.is_parquet else self._csv_chunks(wanted)

    def _csv_chunks(self, wanted: list[str]) -> Iterator[pd.DataFrame]:
        chunks = pd.read_csv(
            self.path,
            sep=self._found_separator,
            encoding=self._codec,
            dtype="str",
            keep_default_na=False,
            na_values=[""],
            chunksize=CHUNK_ROWS,
        )
        with chunks:
            for frame in chunks:
                if not isinstance(frame.index, pd.RangeIndex):  # pandas takes what has no name for the row's
                    more = f"its rows have more values than the {len(self.columns)} names of columns"
                    raise Refusal(f"{self.shown}: {more}")
                yield frame[wanted]

    def _parquet_chunks(self, wanted: list[str]) -> Iterator[pd.DataFrame]:
        from pyarrow.parquet import ParquetFile

        with ParquetFile(self.path) as file:
            for batch in file.iter_batches(CHUNK_ROWS, columns=wanted):
                frame = batch.to_pandas(integer_object_nulls=True)
                for name in wanted:
                    known = frame[name].notna()
                    frame[name] = frame[name].astype("str").where(known).astype("str")
                yield frame

    def _parquet_names(self) -> list[str]:
        from pyarrow.parquet import read_schema

        return [str(name) for name in read_schema(self.path).names]

    def _csv_names(self) -> list[str]:
        first = pd.read_csv(
            self.path,
            sep=self._found_separator,
            encoding=self._codec,
            header=None,
            nrows=1,
            dtype="str",
            keep_default_na=False,
        )
        return [str(name) for name in first.iloc[0]]

    @property
    def _codec(self) -> str:
        return "utf-8-sig" if self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else self.encoding

    @cached_property
    def _found_separator(self) -> str:
        if self.separator is not None:
            return self.separator.replace("\\t", "\t")
        line = pd.read_csv(
            self.path,
            sep="\x01",  # in no file: the whole line is one value
            encoding=self._codec,
            encoding_errors="replace",
            header=None,
            nrows=1,
            dtype="str",
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
        )
        header = str(line.iloc[0, 0])
        counts = {character: header.count(character) for character in SEPARATORS}
        most = max(counts, key=lambda character: counts[character])
        return most if counts[most] else ","

    @contextmanager
    def _reading(self) -> Generator[None]:
        """Errors of reading become refusals that say what to do."""
        from pyarrow import ArrowException

        try:
            yield
        except (UnicodeDecodeError, LookupError) as error:
            raise Refusal(self._other_encoding(error)) from None
        except pd.errors.EmptyDataError:
            raise Refusal(f"{self.shown}: is empty") from None
        except (pd.errors.ParserError, ArrowException, csv.Error) as error:
            reason = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
            raise Refusal(f"{self.shown}: can't be read as a table: {printable(reason[:200])}") from None
        except (EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            raise Refusal(f"{self.shown}: a broken archive ({printable(str(error))}); fetch it again") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise Refusal(f"{self.shown}: can't be read: {printable(reason)}") from None

    def _other_encoding(self, error: Exception) -> str:
        if isinstance(error, LookupError):
            return f"encoding={printable(self.encoding)}: no such encoding; usual ones: utf-8, cp1252, latin-1, gb18030"
        how = "save it as UTF-8, or say what it is: encoding=cp1252, or another"
        return f"{self.shown}: isn't {self.encoding.upper()}{self._where_undecodable()}: {how}"

    def _where_undecodable(self) -> str:
        """The line of the first undecodable byte; nothing for a compressed file."""
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode(self._codec)
                except UnicodeDecodeError:
                    return f" (line {number:,})"
        return ""


def row_files(
    places: Mapping[str, str], *, separator: str | None, encoding: str, decimal: str = "."
) -> dict[str, RowFile]:
    """A file for each place, by the option that names it.

    Raises:
        Refusal: if there is no such file.
    """
    if separator is not None and len(separator.replace("\\t", "\t")) != 1:
        raise Refusal(f"separator={separator}: expected one character, or null to find it")
    if decimal not in (".", ","):
        raise Refusal(f"decimal={decimal}: expected a point or a comma")
    files: dict[str, RowFile] = {}
    for option, place in places.items():
        path = Path(place).expanduser()
        if path.is_dir():
            inside = sorted(each.name for each in path.iterdir() if each.suffix.lower() in (".csv", ".tsv", *PARQUET))
            hint = f"; in it: {', '.join(inside[:3])}" if inside else "; for images in folders, source=folder"
            raise Refusal(f"{option}={printable(place)}: is a folder, and a file is expected{hint}")
        if not place or not path.is_file():
            raise Refusal(f"{option}={printable(place)!r}: there is no such file{_near(path)}")
        point = "." if path.suffix.lower() in PARQUET else decimal
        files[option] = RowFile(path, separator, encoding, point)
    return files


def whole_frame(files: Mapping[str, RowFile], columns: Sequence[str]) -> pd.DataFrame:
    """The columns of all files as text, one file after the other, and under ``PART`` what option names it.

    A column that a file lacks is empty there.

    Raises:
        Refusal: if no file has a row, or one can't be read.
    """
    frames: list[pd.DataFrame] = []
    for part, file in files.items():
        wanted = [name for name in columns if name in file.columns]
        frames += [chunk.assign(**{PART: part}) for chunk in file.chunks(wanted)]
    return put_together(frames, columns)


def put_together(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """The rows of all frames; a column that none has is empty.

    Raises:
        Refusal: if there is no row.
    """
    if not any(len(frame) for frame in frames):
        raise Refusal("there are names of columns, and no row")
    frame = pd.concat(frames, ignore_index=True)
    for name in columns:
        if name not in frame:
            frame[name] = pd.Series([None] * len(frame), dtype="str")
    return frame


def numbers_in(column: pd.Series[str], decimal: str) -> NDArray[np.float64]:
    """Text as numbers, (rows,); NaN where a value is missing or no number.

    Args:
        column: of text.
        decimal: what stands before the fraction of a number.
    """
    if decimal == ".":
        with suppress(ValueError, TypeError):
            return pd.to_numeric(column).to_numpy(np.float64)  # four times as fast, where there is nothing else
    known = column.str.strip()
    known = known.mask(known.isin(MISSING))
    if decimal != ".":
        known = known.str.replace(decimal, ".", regex=False)
    return pd.to_numeric(known, errors="coerce").to_numpy(np.float64)


def _near(path: Path) -> str:
    """Files beside a missing one."""
    try:
        beside = [each.name for each in path.parent.iterdir() if each.is_file()]
    except OSError:
        return f"; there is no folder {printable(str(path.parent))} either"
    import difflib

    similar = difflib.get_close_matches(path.name, beside, n=2, cutoff=0.6)
    hint = f"; did you mean {' or '.join(map(printable, similar))}?" if similar else ""
    return hint or f"; {printable(str(path.parent))} has {counted(len(beside), 'file')}"
