"""CSV and Parquet files as people have them, and those that can't be read."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from transferlab.errors import Refusal
from transferlab.records import row_files
from transferlab.records.row_files import numbers_in, whole_frame

TEXT = 'name,größe\nÄpfel,1\n"Birnen, gelb",2\n'
ROWS = [["Äpfel", "1"], ["Birnen, gelb", "2"]]


def read(path: Path, *, separator: str | None = None, encoding: str = "utf-8", columns: Any = None) -> list[list[str]]:
    files = row_files.row_files({"path": str(path)}, separator=separator, encoding=encoding)
    return whole_frame(files, columns or files["path"].columns).drop(columns=row_files.PART).to_numpy().tolist()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_found(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f'name{separator}größe\nÄpfel{separator}1\n"Birnen, gelb"{separator}2\n', encoding="utf-8")
    assert read(file) == ROWS


def test_a_separator_that_is_given_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a;b,c\n1;2,3\n")
    assert read(file, separator=";") == [["1", "2,3"]]
    assert read(file, separator=",") == [["1;2", "3"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", TEXT.encode()),
        ("bom.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        ("crlf.csv", TEXT.replace("\n", "\r\n").encode()),
        ("a.csv.gz", gzip.compress(TEXT.encode(), mtime=0)),
        ("a.csv.bz2", bz2.compress(TEXT.encode())),
    ],
    ids=["plain", "marked", "other line ends", "gzip", "bzip2"],
)
def test_text_files_of_every_kind_hold_the_same(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert read(tmp_path / name) == ROWS


def test_another_encoding_is_said(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(TEXT.encode("cp1252"))
    assert read(file, encoding="cp1252") == ROWS
    with pytest.raises(Refusal, match=r"isn't UTF-8 \(line 1\): save it as UTF-8, or say what it is: encoding=cp1252"):
        read(file)
    with pytest.raises(Refusal, match="encoding=klingon: no such encoding"):
        read(file, encoding="klingon")


def test_parquet_is_read_as_the_text_it_would_be(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    columns = {"text": ["a", None], "label": pd.array([3, None], "Int64"), "value": [1.5, 2.0], "list": [[1], [2]]}
    pd.DataFrame(columns).to_parquet(file)
    frame = whole_frame(
        row_files.row_files({"path": str(file)}, separator=None, encoding="utf-8"), ["text", "label", "value"]
    )
    assert frame["text"].tolist()[0] == "a"
    assert frame["label"].tolist()[0] == "3"
    assert frame[["text", "label"]].isna().to_numpy().tolist() == [[False, False], [True, True]]
    assert frame["value"].tolist() == ["1.5", "2.0"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty.csv: is empty"),
        ("none.csv", b"a,b\n", "names of columns, and no row"),
        ("twice.csv", b"a,a\n1,2\n", "two columns are called a; each needs a name of its own"),
        ("nameless.csv", b"a,\n1,2\n", "a column has no name; the first line names the columns"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "can't be read as a table: Expected 2 fields in line 3, saw 3"),
        ("longer.csv", b"a,b\n1,2,3\n4,5,6\n", "its rows have more values than the 2 names of columns"),
        ("quote.csv", b'a,b\n"1,2\n', "can't be read as a table: EOF inside string"),
        ("cut.csv.gz", gzip.compress(TEXT.encode() * 99, mtime=0)[:60], "a broken archive"),
        ("no.parquet", b"PAR1 nothing", "can't be read as a table"),
        ("no.csv.zip", b"PK nothing", "a broken archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_is_refused_in_a_line(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Refusal, match=words) as refused:
        read(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_has_near_ones_named(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text(TEXT)
    with pytest.raises(Refusal, match=r"there is no such file; did you mean reviews.csv\?"):
        read(tmp_path / "review.csv")
    with pytest.raises(Refusal, match=r"is a folder, and a file is expected; in it: reviews.csv"):
        read(tmp_path)
    with pytest.raises(Refusal, match=r"there is no folder .* either"):
        read(tmp_path / "nowhere" / "a.csv")


def test_a_column_that_is_not_there_has_near_ones_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("label,text\n1,2\n")
    file = row_files.row_files({"path": str(tmp_path / "a.csv")}, separator=None, encoding="utf-8")["path"]
    with pytest.raises(Refusal, match=r"text=txt: .*Did you mean text\? Its columns: label, text"):
        file.column("text", "txt")


def test_many_rows_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_files, "CHUNK_ROWS", 3)
    (tmp_path / "a.csv").write_text("a\n" + "".join(f"{number}\n" for number in range(10)))
    files = row_files.row_files({"path": str(tmp_path / "a.csv")}, separator=None, encoding="utf-8")
    assert [len(chunk) for chunk in files["path"].chunks(["a"])] == [3, 3, 3, 1]
    assert whole_frame(files, ["a"])["a"].tolist() == [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("values", "decimal", "numbers"),
    [
        (["1", " 2.5 ", "", None, "NA", "?"], ".", "[1.0, 2.5, nan, nan, nan, nan]"),
        (["1,5", "2"], ",", "[1.5, 2.0]"),
        (["1,5", "x"], ".", "[nan, nan]"),
        (["1e3", "-4"], ".", "[1000.0, -4.0]"),
    ],
)
def test_text_becomes_numbers(values: list[str | None], decimal: str, numbers: str) -> None:
    assert str(numbers_in(pd.Series(values, dtype="str"), decimal).tolist()) == numbers
