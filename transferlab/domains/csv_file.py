"""CSV and Parquet files whose rows are texts, or name image files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from transferlab.domains.class_names import listed
from transferlab.domains.decoded_images import Decoding, listed_images
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.own_files import OwnFiles
from transferlab.domains.rows import Roles, described, without_validation
from transferlab.errors import Refusal
from transferlab.inputs.tokens import Tokens
from transferlab.records.row_files import RowFile, row_files, whole_frame
from transferlab.records.tokenizing import tokenized
from transferlab.text import counted, printable


@dataclass(frozen=True, kw_only=True)
class CSVFile(OwnFiles):
    """A text, or the path of an image file, a row, with its label.

    Texts become lower-case words and punctuation marks (``records/tokenizing.py``). The words of the training part are
    the vocabulary. Images are read as ``folder.py`` reads them.

    Attributes:
        text: the column of texts; None if there is none.
        image: the column of paths of image files; None if there is none.
        root: the folder that these begin from; None: the row file's own.
        max_tokens: words that are read of a text.
        size: of images, see ``folder.py``, as the next two.
        channels: likewise.
        skip_unreadable: likewise.
    """

    expected: ClassVar[str] = "a CSV or Parquet file"

    text: str | None
    image: str | None
    root: str | None
    max_tokens: int
    size: int
    channels: int
    skip_unreadable: bool

    def read(self) -> Domain:
        """The texts, or the images."""
        if self.max_tokens < 1:
            raise Refusal(f"max_tokens={self.max_tokens}: expected at least 1")
        decoding = Decoding(self.size, self.channels, self.skip_unreadable, self.cache)
        files = row_files(self.places, separator=self.separator, encoding=self.encoding)
        option, column = self._inputs_column(files)
        roles = self.roles.found(files)
        if option == "image":
            own = None if self.root is None else Path(self.root).expanduser()
            folders = {part: own or file.path.parent for part, file in files.items()}
            frame = whole_frame(files, [column, *roles.columns])
            return listed_images(frame, column, folders, roles, self.task, decoding)
        return self.kept(
            lambda _: self._texts(files, column, roles),
            [file.path for file in files.values()],
            without=("image", "root", "size", "channels", "skip_unreadable"),
        )

    def _inputs_column(self, files: Mapping[str, RowFile]) -> tuple[str, str]:
        """Which option names the column of the inputs, and the column."""
        first = next(iter(files.values()))
        options = {"text": self.text, "image": self.image}
        named = {option: name for option, name in options.items() if name is not None}
        there = {option: name for option, name in named.items() if name in first.columns}
        if len(there) == 2:
            both = " and ".join(map(printable, there.values()))
            raise Refusal(f"{first.shown}: has the columns {both}; for texts image=null, for images text=null")
        if there:
            option, name = next(iter(there.items()))
            for file in files.values():
                file.column(option, name)
            return option, name
        if not named:
            raise Refusal("text=null and image=null: one of them has to name the column of the inputs")
        what = " or ".join(f"{option}={printable(name)}" for option, name in named.items())
        raise Refusal(
            f"{first.shown}: has no column of texts or of image paths ({what}). Its columns: {listed(first.columns)}; "
            "for rows of numbers and categories, source=table"
        )

    def _texts(self, files: Mapping[str, RowFile], column: str, roles: Roles) -> Domain:
        frame = whole_frame(files, [column, *roles.columns])
        read, remark = without_validation(frame, roles)
        empty = (frame[column].isna() | (frame[column].str.strip() == "")).to_numpy()
        if empty.all():
            raise Refusal(f"text={printable(column)}: the column is empty in every row")
        remarks = [remark] if remark else []
        if skipped := int((empty & read).sum()):
            remarks.append(f"left out: {counted(skipped, 'row')} without a text")
        frame = frame[read & ~empty].reset_index(drop=True)
        rows = described(frame, roles, self.task)
        # The part that trains is known only with the labels; a stand-in for the texts, which splits don't look at.
        training = ~test_mask(Domain(np.zeros((len(frame), 1), np.int64), kind=Tokens(()), **rows.values))
        result = tokenized(frame[column].tolist(), training, self.max_tokens)
        if result.cut:
            remarks.append(f"{counted(result.cut, 'text')} longer than {self.max_tokens} words: the beginning is read")
        kind = Tokens(result.words, result.counts)
        return Domain(result.tokens, kind=kind, remarks=tuple(remarks), **rows.values)
