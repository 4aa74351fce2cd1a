"""Texts, images and tables from row files: columns, parts, groups, names, and what is refused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jobs import Said, rows_of
from made_folders import fill

from transferlab.domains import kept as kept_domains
from transferlab.domains.csv_file import CSVFile
from transferlab.domains.domain import Domain
from transferlab.domains.draws import test_mask
from transferlab.domains.image_list import image_list
from transferlab.domains.overlaps import digests
from transferlab.domains.table_file import TableFile
from transferlab.errors import Refusal
from transferlab.inputs.kind import DomainInputs
from transferlab.inputs.lazy import in_file
from transferlab.inputs.tokens import Tokens

TEXTS = ["good and cheap", "bad", "not good", "very bad .", "fine", "awful"] * 5
LABELS = ["pos", "neg", "neg", "neg", "pos", "neg"] * 5
WHERE = {"path": None, "unlabelled": None, "test": None}
ROLES = {
    "label": "label",
    "split": "split",
    "group": None,
    "id": "id",
    "classes": None,
    "others": "refuse",
    "task": "auto",
}
READING = {"separator": None, "encoding": "utf-8"}
IMAGES = {"size": 6, "channels": 1, "skip_unreadable": False}

Load = Callable[..., Domain]


@pytest.fixture
def texts(tmp_path: Path) -> Load:
    def load(options: dict[str, Any] | None = None, **columns: Any) -> Domain:
        pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
        own = {"text": "text", "image": "path", "root": None, "max_tokens": 9, "cache": str(tmp_path / "out")}
        given = {**WHERE, "path": str(tmp_path / "a.csv"), **ROLES, **READING, **IMAGES, **own}
        return CSVFile(**given | (options or {})).domain()

    return load


@pytest.fixture
def table(tmp_path: Path) -> Load:
    def load(options: dict[str, Any] | None = None, **columns: Any) -> Domain:
        pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
        own = {"drop": [], "categories": [], "decimal": ".", "cache": str(tmp_path / "out")}
        given = {**WHERE, "path": str(tmp_path / "a.csv"), **ROLES, **READING, **own}
        return TableFile(**given | (options or {})).domain()

    return load


def words(domain: Domain, row: int) -> list[str]:
    assert isinstance(domain.kind, Tokens)
    return [domain.kind.words[number - 2] for number in np.asarray(domain.inputs)[row] if number]


def test_a_row_is_a_text_with_its_label_and_name(texts: Load) -> None:
    domain = texts(text=TEXTS, label=LABELS, id=[f"r{row}" for row in range(30)])
    assert domain.class_names == ("neg", "pos")
    assert domain.labels[:2].tolist() == [1, 0]
    assert words(domain, 0) == ["good", "and", "cheap"]
    assert domain.names is not None
    assert list(domain.names[:2]) == ["r0", "r1"]
    assert domain.test is None


def test_words_of_test_texts_alone_are_in_no_vocabulary(texts: Load) -> None:
    split = ["train"] * 24 + ["test"] * 6
    domain = texts(text=[*TEXTS[:29], "unheard"], label=LABELS, split=split)
    assert isinstance(domain.kind, Tokens)
    counts = dict(zip(domain.kind.words, domain.kind.counts or (), strict=True))
    assert counts["unheard"] == 0
    assert counts["good"] == 8  # of the 24 training texts
    inputs = DomainInputs("source=a", domain.kind, domain.inputs.shape)
    spec = Tokens.common_spec([inputs], rows_of()[0].config)
    assert "unheard" not in spec.tokens.words
    assert set(spec.tokens.words) == {word for word, count in counts.items() if count}


def test_the_most_frequent_words_are_the_vocabulary() -> None:
    config = rows_of("tokens.vocabulary=2")[0].config
    one = DomainInputs("source=a", Tokens(("a", "b", "c"), (5, 2, 1)), (3, 4))
    other = DomainInputs("target=b", Tokens(("d", "c"), (9, 3)), (3, 4))
    assert Tokens.common_spec([one, other], config).tokens.words == ("a", "d")


def test_rows_without_a_text_are_left_out_and_an_empty_column_is_refused(texts: Load) -> None:
    domain = texts(text=[*TEXTS[:28], None, " "], label=LABELS)
    assert len(domain.labels) == 28
    assert domain.remarks == ("left out: 2 rows without a text",)
    with pytest.raises(Refusal, match="text=text: the column is empty in every row"):
        texts(text=[None] * 30, label=LABELS)


def test_parts_lie_in_one_file_or_in_several(texts: Load, tmp_path: Path) -> None:
    pd.DataFrame({"text": ["new words", "good"], "label": ["pos", "neg"]}).to_csv(tmp_path / "more.csv", index=False)
    domain = texts({"unlabelled": str(tmp_path / "more.csv")}, text=TEXTS, label=LABELS)
    assert (~domain.labelled).nonzero()[0].tolist() == [30, 31]
    assert not test_mask(domain)[30:].any()
    domain = texts({"test": str(tmp_path / "more.csv")}, text=TEXTS, label=LABELS)
    assert test_mask(domain).nonzero()[0].tolist() == [30, 31]
    domain = texts(text=TEXTS, label=LABELS, split=["train"] * 20 + ["dev"] * 4 + ["test"] * 6)
    assert len(domain.labels) == 26
    assert domain.remarks == ("left out: 4 validation rows, for there is a test part",)
    domain = texts(text=TEXTS, label=LABELS, split=["train"] * 24 + ["val"] * 6)
    assert test_mask(domain).nonzero()[0].tolist() == list(range(24, 30))


def test_a_column_may_have_any_name(texts: Load) -> None:
    people = [f"p{row // 3}" for row in range(30)]
    options = {"label": "part", "group": "path", "image": None}
    domain = texts(options, text=TEXTS, part=LABELS, path=people)
    assert domain.class_names == ("neg", "pos")
    assert domain.groups is not None
    assert len(set(domain.groups.tolist())) == 10


def test_the_same_text_is_found_in_another_domain_and_no_other(texts: Load) -> None:
    first = texts(text=[f"a thing {row}" for row in range(30)], label=LABELS)
    other = texts(text=[*(f"a film {row}" for row in range(29)), "A  thing 7"], label=LABELS)
    assert set(digests(first)) & set(digests(other)) == {list(digests(first))[7]}
    numbers = [np.asarray(domain.inputs)[:29, :2] for domain in (first, other)]
    assert np.array_equal(*numbers), "by their numbers, which each domain has for itself, texts are alike"


def test_the_same_row_is_found_in_another_domain_and_no_other(table: Load) -> None:
    numbers = [row / 2 for row in range(30)]
    first = table(age=numbers, city=["Rome", "Ulm"] * 15, label=LABELS)
    turned = table(city=["Rome", "Ulm"] * 15, age=numbers, label=LABELS)
    other = table(age=numbers, city=["Paris", "Rome"] * 15, label=LABELS)
    assert list(digests(first)) == list(digests(turned))
    assert not set(digests(first)) & set(digests(other))


def test_a_target_needs_no_column_of_labels(texts: Load) -> None:
    domain = texts({"label": None}, text=TEXTS, label=LABELS)
    assert not domain.labelled.any()
    assert domain.class_names == ()


def test_a_file_without_labels_needs_no_column_of_them(texts: Load, tmp_path: Path) -> None:
    pd.DataFrame({"text": TEXTS}).to_csv(tmp_path / "more.csv", index=False)
    domain = texts({"path": None, "unlabelled": str(tmp_path / "more.csv"), "label": "mood"}, text=TEXTS)
    assert not domain.labelled.any()
    domain = texts({"unlabelled": str(tmp_path / "more.csv")}, text=TEXTS, label=LABELS)
    assert domain.labelled.sum() == 30
    with pytest.raises(Refusal, match=r"label=mood: .*Its columns: text; rows without labels: label=null"):
        texts({"path": str(tmp_path / "more.csv"), "label": "mood"}, text=TEXTS)
    with pytest.raises(Refusal, match=r"group=who: .*more.csv has no such column"):
        texts({"unlabelled": str(tmp_path / "more.csv"), "group": "who"}, text=TEXTS, label=LABELS, who=TEXTS)


@pytest.mark.parametrize(
    ("options", "columns", "message"),
    [
        ({}, {"path": TEXTS}, "has the columns text and path; for texts image=null, for images text=null"),
        (
            {"text": "txt"},
            {},
            r"no column of texts .*\(text=txt or image=path\). Its columns: text, label",
        ),
        ({"text": None, "image": None}, {}, "one of them has to name the column of the inputs"),
        ({"label": "lable"}, {}, r"label=lable: .* has no such column. Did you mean label\? .*label=null"),
        ({"group": "user"}, {}, "group=user: .* has no such column"),
        ({"split": "fold"}, {}, "split=fold: .* has no such column"),
        ({}, {"split": ["a", "b"] * 15}, "split=split: expected train, test or validation, not a, b; split=null"),
        ({}, {"split": ["train"] * 30}, "no row is of a test part; split=null draws one"),
        ({"max_tokens": 0}, {}, "max_tokens=0: expected at least 1"),
        ({"test": "a.csv"}, {}, "there is no such file"),
        ({"path": None}, {}, "path: no value given"),
    ],
)
def test_a_column_that_cannot_be_meant_is_refused(
    texts: Load, options: dict[str, Any], columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(Refusal, match=message):
        texts(options, **{"text": TEXTS, "label": LABELS} | columns)


def test_groups_never_straddle_a_split(texts: Load) -> None:
    people = [f"p{row // 3}" for row in range(30)]
    domain = texts({"group": "person"}, text=TEXTS, label=LABELS, person=people)
    assert domain.groups is not None
    test = test_mask(domain)
    assert 0.15 < test.mean() < 0.45
    assert not set(domain.groups[test].tolist()) & set(domain.groups[~test].tolist())
    with pytest.raises(Refusal, match=r"1 group of 10 is in the training and the test part"):
        texts({"group": "person"}, text=TEXTS, label=LABELS, person=people, split=["train"] * 20 + ["test"] * 10)
    with pytest.raises(Refusal, match="all examples are of one group"):
        texts({"group": "person"}, text=TEXTS, label=LABELS, person=["p"] * 30)


def test_what_was_read_is_kept_and_made_again_where_it_is_damaged(
    texts: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"text": TEXTS, "label": LABELS, "id": [str(row) for row in range(30)]}
    first = texts(**columns)
    (folder,) = [path for path in (tmp_path / "out" / "cache" / "records").iterdir() if path.is_dir()]
    made = (folder / "about.json").stat().st_mtime_ns
    again = texts(**columns)
    assert (folder / "about.json").stat().st_mtime_ns == made
    for name in ("inputs", "labels"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert (first.fingerprint, first.kind, first.names) == (again.fingerprint, again.kind, again.names)
    for name, change in (("labels.npy", b"nothing"), ("about.json", b"{}")):
        (folder / name).write_bytes(change)
        assert np.array_equal(texts(**columns).labels, first.labels)
    assert texts(text=TEXTS, label=[*LABELS[:-1], "pos"]).fingerprint != first.fingerprint
    monkeypatch.setattr(kept_domains, "MAX_IN_MEMORY", 1)
    pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
    assert in_file(texts(**columns).inputs)


def test_a_table_has_numbers_categories_and_gaps(table: Load) -> None:
    domain = table(age=[*range(29), None], city=["Rome", "Ulm", None] * 10, label=LABELS)
    rows = np.asarray(domain.inputs)
    assert rows[:3].tolist()[:2] == [[0.0, 0.0], [1.0, 1.0]]
    assert np.isnan(rows[2, 1])
    assert np.isnan(rows[29, 0])
    assert domain.kind.identity == '["table", ["age", "city"], {"city": ["Rome", "Ulm"]}]'


def test_a_table_predicts_a_column_of_numbers(table: Load) -> None:
    domain = table({"label": "price"}, age=range(30), price=[row + 0.5 for row in range(30)])
    assert domain.continuous
    assert domain.labels[:2].tolist() == [0.5, 1.5]


def test_a_table_leaves_out_validation_rows(table: Load) -> None:
    split = ["train"] * 10 + ["val"] * 10 + ["test"] * 10
    domain = table(age=range(30), label=LABELS, split=split)
    assert np.asarray(domain.inputs)[:, 0].tolist() == [*range(10), *range(20, 30)]
    assert test_mask(domain).tolist() == [False] * 10 + [True] * 10


def test_a_decimal_comma_holds_for_labels_too(table: Load) -> None:
    columns = {"age": [f"{row},5" for row in range(30)], "label": [f"{row},25" for row in range(30)]}
    domain = table({"decimal": ","}, **columns)
    assert np.asarray(domain.inputs)[1, 0] == 1.5
    assert domain.labels[1] == 1.25


def listed_images(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in fill(folder / "photos").rglob("*.png"))


def test_rows_may_name_images(texts: Load, tmp_path: Path, load: Callable[..., Domain]) -> None:
    paths = listed_images(tmp_path)
    domain = texts({"size": 8, "channels": 3}, path=list(map(str, paths)), label=[path.parent.name for path in paths])
    folder = load(tmp_path / "photos")
    assert np.array_equal(np.asarray(domain.inputs), np.asarray(folder.inputs))
    assert domain.class_names == folder.class_names
    assert domain.labels.tolist() == folder.labels.tolist()
    assert domain.names == [str(path) for path in paths]


def test_a_list_may_name_images(tmp_path: Path, load: Callable[..., Domain]) -> None:
    paths = listed_images(tmp_path)
    own = {"root": None, "class_names": None, "classes": None, "others": "refuse", "task": "auto"}
    own |= {"size": 8, "channels": 3, "skip_unreadable": False, "cache": str(tmp_path / "out")}

    def read(lines: list[str], **options: Any) -> Domain:
        (tmp_path / "list.txt").write_text("\n".join(lines))
        return image_list(**{**WHERE, "path": str(tmp_path / "list.txt"), **own} | options)

    classes = sorted({path.parent.name for path in paths})
    numbered = [f"{path} {classes.index(path.parent.name)}" for path in paths]
    folder = load(tmp_path / "photos")
    domain = read(numbered, class_names=classes)
    assert np.array_equal(np.asarray(domain.inputs), np.asarray(folder.inputs))
    assert (domain.class_names, domain.labels.tolist()) == (folder.class_names, folder.labels.tolist())
    assert read(numbered).class_names == tuple(map(str, range(len(classes))))
    assert not read(list(map(str, paths))).labelled.any()
    assert read(numbered, root=str(tmp_path)).fingerprint == read(numbered).fingerprint
    with pytest.raises(Refusal, match=r"1 of .* without a label"):
        read([*numbered[:-1], str(paths[-1])])
    with pytest.raises(Refusal, match=r"1 of \d+ files is not there: photos/none.png"):
        read([*numbered, "photos/none.png 0"])
    with pytest.raises(Refusal, match=r"leads out of .*root= names another folder"):
        read([*numbered, "../x.png 0"])
    with pytest.raises(Refusal, match="class_names: 1 name, and the label 1 isn't from 0 to 0"):
        read(numbered, class_names=["a"])


@pytest.mark.smoke
def test_two_files_and_one_line_give_a_verdict(
    transferlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("amazon", 0), ("movies", 1)):
        rng = np.random.default_rng(seed)
        good = rng.integers(0, 2, 60)
        texts = [f"{'great' if kind else 'poor'} thing number {row}" for row, kind in enumerate(good)]
        rows = {"text": texts, "label": np.where(good, "pos", "neg"), "id": [f"{name}{row}" for row in range(60)]}
        pd.DataFrame(rows).to_csv(f"{name}.csv", index=False)
    size = ["bottleneck=8", "steps=30", "snapshots=2", "batch_size=8", "seeds=2", "parallel=1"]
    places = ["source=csv", "source.path=amazon.csv", "target=csv", "target.path=movies.csv"]
    said = transferlab("train", *places, "strategy=source_only", "backbone=mlp", *size)
    assert said.code == 0, said.err
    assert "amazon → movies" in said.out
    (predictions, *_) = Path("outputs").rglob("predictions.csv")
    with predictions.open() as file:
        assert next(csv.DictReader(file))["name"].startswith("movies")
