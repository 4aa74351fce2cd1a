"""CSV and Parquet files whose rows are texts, or name image files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from transferlab.domains.class_map import Others, with_class_map
from transferlab.domains.class_names import listed
from transferlab.domains.decoded_images import Decoding, listed_images
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.kept import kept
from transferlab.domains.rows import Roles, described, places_of, without_validation
from transferlab.errors import Refusal
from transferlab.inputs.tokens import Tokens
from transferlab.records.labels import Task
from transferlab.records.row_files import RowFile, row_files, whole_frame
from transferlab.records.tokenizing import tokenized
from transferlab.text import counted, printable


def csv_file(
    *,
    path: str | None,
    unlabelled: str | None,
    test: str | None,
    text: str | None,
    image: str | None,
    root: str | None,
    label: str | None,
    split: str | None,
    group: str | None,
    id: str | None,  # noqa: A002 (what such a column is called)
    classes: dict[str, Any] | None,
    others: Others,
    task: Task,
    separator: str | None,
    encoding: str,
    max_tokens: int,
    size: int,
    channels: int,
    skip_unreadable: bool,
    cache: str,
) -> Domain:
    """A text, or the path of an image file, a row, with its label.

    Texts become lower-case words and punctuation marks (``records/tokenizing.py``). The words of the training part are
    the vocabulary. Images are read as ``folder.py`` reads them.

    Args:
        path: a CSV file in any separator, also compressed, or a Parquet file.
        unlabelled: likewise, of further rows to train on, whose labels aren't read.
        test: likewise, of the test part, where ``path`` has none.
        text: the column of texts; None if there is none.
        image: the column of paths of image files; None if there is none.
        root: the folder that these begin from; None: the row file's own.
        label: the column of labels; a row without is unlabelled. None: no row has one.
        split: the column that says ``train`` or ``test``; None: a test part is drawn.
        group: rows that are alike in this column never straddle a split.
        id: the column of names of rows, for ``predictions.csv``.
        classes: a class map, see ``class_map.py``.
        others: whether classes that it doesn't name are refused or left out.
        task: whether labels are classes or numbers.
        separator: of columns; None to find it.
        encoding: of the file.
        max_tokens: words that are read of a text.
        size: of images, see ``folder.py``, as the next two.
        channels: likewise.
        skip_unreadable: likewise.
        cache: the output root, where what was read is kept; it changes no result.

    Raises:
        Refusal: if a file or a column isn't there or can't be read, or nothing says what the rows hold.
    """
    if max_tokens < 1:
        raise Refusal(f"max_tokens={max_tokens}: expected at least 1")
    decoding = Decoding(size, channels, skip_unreadable, cache)
    places = places_of(path, unlabelled, test, "a CSV or Parquet file")
    files = row_files(places, separator=separator, encoding=encoding)
    option, column = _inputs_column(files, text, image)
    roles = Roles(label, split, group, id).found(files)
    if option == "image":
        folders = {part: file.path.parent if root is None else Path(root).expanduser() for part, file in files.items()}
        frame = whole_frame(files, [column, *roles.columns])
        domain = listed_images(frame, column, folders, roles, task, decoding)
    else:
        options = {
            "columns": [column, roles.label, roles.split, roles.group, roles.id],
            "parts": list(files),
            "reading": [separator, encoding, task, max_tokens],
        }
        paths = [file.path for file in files.values()]
        domain = kept(cache, options, paths, lambda _: _texts(files, column, roles, task, max_tokens))
    return with_class_map(domain, classes, others)


def _inputs_column(files: dict[str, RowFile], text: str | None, image: str | None) -> tuple[str, str]:
    """Which option names the column of the inputs, and the column."""
    first = next(iter(files.values()))
    named = {option: name for option, name in (("text", text), ("image", image)) if name is not None}
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
    columns = listed(first.columns)
    raise Refusal(
        f"{first.shown}: has no column of texts or of image paths ({what}). Its columns: {columns}; for rows of "
        "numbers and categories, source=table"
    )


def _texts(files: dict[str, RowFile], column: str, roles: Roles, task: Task, max_tokens: int) -> Domain:
    frame = whole_frame(files, [column, *roles.columns])
    read, remark = without_validation(frame, roles)
    empty = (frame[column].isna() | (frame[column].str.strip() == "")).to_numpy()
    if empty.all():
        where = printable(column)
        raise Refusal(f"text={where}: the column is empty in every row")
    remarks = [remark] if remark else []
    if skipped := int((empty & read).sum()):
        remarks.append(f"left out: {counted(skipped, 'row')} without a text")
    frame = frame[read & ~empty].reset_index(drop=True)
    rows = described(frame, roles, task)
    # The part that trains is known only with the labels; a stand-in for the texts, which splits don't look at.
    training = ~test_mask(Domain(np.zeros((len(frame), 1), np.int64), kind=Tokens(()), **rows.values))
    result = tokenized(frame[column].tolist(), training, max_tokens)
    if result.cut:
        remarks.append(f"{counted(result.cut, 'text')} longer than {max_tokens} words: the beginning is read")
    kind = Tokens(result.words, result.counts)
    return Domain(result.tokens, kind=kind, remarks=tuple(remarks), **rows.values)
