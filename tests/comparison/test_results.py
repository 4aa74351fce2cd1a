import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from transferlab.comparison.result_file import FIELDS, OPTIONAL, SECTIONS, sealed
from transferlab.comparison.results import read_results
from transferlab.system.files import json_digest


def test_every_finished_run_is_a_row(outputs):
    outputs.add("dann", [0.7, 0.8])
    outputs.add("scratch", [None], run_id="other")
    results, warnings = read_results(outputs.root)
    assert warnings == []
    assert results["target_accuracy"].tolist()[:2] == [0.7, 0.8]
    assert results["seconds"].tolist() == [10, 11, 10]
    assert results["status"].tolist() == ["ok", "ok", "diverged"]
    assert math.isnan(results["target_accuracy"].iloc[2])


def test_what_the_predictor_costs_is_read_where_it_is_known(outputs):
    outputs.add("dann", [0.7], timing={"seconds": 1, "parameters": 5, "milliseconds_per_image": 0.25})
    outputs.add("scratch", [0.7])
    results, _ = read_results(outputs.root)
    assert results[["parameters", "milliseconds_per_image"]].fillna(-1).to_numpy().tolist() == [[5, 0.25], [-1, -1]]


def test_a_result_is_written_with_each_of_its_fields_and_no_other():
    fields: dict[str, Any] = dict.fromkeys([*FIELDS, *OPTIONAL, *SECTIONS])
    assert list(sealed(fields)) == ["schema_version", *fields, "sha256"]
    for wrong in ({**fields, "extra": 1}, {name: None for name in fields if name != "timing"}):
        with pytest.raises(ValueError, match=r"each of its fields and no other: (extra|timing)"):
            sealed(wrong)


def test_an_empty_folder_gives_no_rows_but_the_columns(tmp_path: Path):
    results, warnings = read_results(tmp_path)
    assert results.empty
    assert warnings == []
    assert "target_accuracy" in results


def test_neither_config_nor_folder_names_are_read(outputs, result):
    path = outputs.write(result("dann", 0, 0.7, config={"strategy": "wrong", "seed": 9}))
    moved = outputs.root / "runs" / "elsewhere" / "seed7"
    moved.parent.mkdir()
    path.parent.rename(moved)
    results, _ = read_results(outputs.root)
    assert results[["strategy", "seed"]].to_numpy().tolist() == [["dann", 0]]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"status": "running"}, "status is 'running'"),
        ({"seed": "0"}, "seed is '0', not int"),
        ({"seed": True}, "seed is True, not int"),
        ({"target_labels_per_class": "many"}, "not a number or 'all'"),
        ({"metrics": {}}, "target_accuracy is missing"),
        ({"metrics": None}, "metrics is None"),
        ({"metrics": {"target_accuracy": math.nan}}, "target_accuracy is nan"),
        ({"metrics": {"target_accuracy": 78.1}}, "target_accuracy is 78.1, not between 0 and 1"),
        ({"metrics": {"target_accuracy": None}}, "target_accuracy is None"),
        ({"timing": {"seconds": -1}}, "seconds is -1"),
        ({"timing": {"seconds": math.inf}}, "seconds is inf"),
        ({"environment": ["torch"]}, "environment is ['torch'], not dict"),
        ({"setting": 5}, "setting is 5, not str"),
        ({"warnings": "saturated"}, "warnings is 'saturated', not a list of objects"),
        ({"timing": {"seconds": 10**400}}, "timing.seconds is 1000"),
        ({"source": "half\ud800"}, "surrogates not allowed"),
    ],
)
def test_an_unusable_file_is_left_out_and_named(outputs, result, fields: dict[str, Any], reason: str):
    outputs.add("mcd", [0.7])
    path = outputs.write(result("dann", 1, 0.8, **fields))
    results, warnings = read_results(outputs.root)
    assert len(results) == 1
    assert len(warnings) == 1
    assert str(path) in warnings[0]
    assert reason in warnings[0]
    assert "\n" not in warnings[0]


@pytest.mark.parametrize("name", ["run_id", "comparison_id", "strategy", "seed", "metrics", "timing"])
def test_a_missing_field_is_named(outputs, result, name: str):
    path = outputs.write(result("dann", 0, 0.7))
    contents = {key: value for key, value in json.loads(path.read_text()).items() if key not in (name, "sha256")}
    path.write_text(json.dumps(contents))
    results, warnings = read_results(outputs.root)
    assert results.empty
    assert f"{name} is missing" in warnings[0]


def cut_off(text: bytes) -> bytes:
    return text[: len(text) // 2]


def flip_an_accuracy_digit(text: bytes) -> bytes:
    return text.replace(b"0.7", b"0.6")


def flip_into_no_character(text: bytes) -> bytes:
    return text.replace(b"dann", b"d\xffnn")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_off, "not JSON"),
        (flip_an_accuracy_digit, "sha256"),
        (flip_into_no_character, "not JSON"),
        (lambda _: b"", "not JSON"),
        (lambda _: b"[1]", "not a JSON object"),
    ],
)
def test_a_damaged_file_is_left_out(outputs, damage: Callable[[bytes], bytes], reason: str):
    [path, _] = outputs.add("dann", [0.7, 0.8])
    path.write_bytes(damage(path.read_bytes()))
    results, warnings = read_results(outputs.root)
    assert results["seed"].tolist() == [1]
    assert reason in warnings[0]


def test_a_result_without_sha256_is_unchecked(outputs, result):
    contents = result("dann", 0, 0.7)
    del contents["sha256"]
    outputs.write(contents)
    assert len(read_results(outputs.root)[0]) == 1


def test_digest_is_over_everything_else_in_any_order():
    # printf '{"a":1,"b":[0.5,null]}' | sha256sum
    known = "f1a92042e7c3ddd42296d6b32369b7866ec31f2ca194f1c000be811f5b4bf1ac"
    assert json_digest({"b": [0.5, None], "a": 1}) == json_digest({"a": 1, "sha256": "x", "b": [0.5, None]}) == known


def test_links_are_followed_once_and_a_loop_has_an_end(outputs, tmp_path):
    [path] = outputs.add("dann", [0.7])
    pair = outputs.root / "runs" / "pair"
    pair.rename(tmp_path / "elsewhere")
    pair.symlink_to(tmp_path / "elsewhere")
    (outputs.root / "runs" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(outputs.root)
    results, warnings = read_results(outputs.root)
    assert (results["strategy"].tolist(), warnings) == (["dann"], [])
    assert path.exists()


def test_what_has_no_end_or_is_too_large_is_left_out_and_named(outputs):
    pipe, zero, large, _ = outputs.add("dann", [0.7, 0.8, 0.9, 0.6])
    pipe.unlink()
    os.mkfifo(pipe)
    zero.unlink()
    zero.symlink_to("/dev/zero")
    with large.open("r+b") as file:
        file.truncate(2**26 + 1)
    results, warnings = read_results(outputs.root)
    assert results["seed"].tolist() == [3]
    for path, reason, warning in zip(
        (pipe, zero, large), ("ordinary", "ordinary", "67108865 bytes"), warnings, strict=True
    ):
        assert str(path) in warning
        assert reason in warning


def test_a_folder_that_cannot_be_read_is_named(outputs, monkeypatch):
    path, _ = outputs.add("dann", [0.7, 0.8])
    listed = os.scandir

    def refusing(folder):
        if Path(folder) == path.parent:
            raise PermissionError(13, "Permission denied")
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    results, warnings = read_results(outputs.root)
    assert results["seed"].tolist() == [1]
    assert warnings == [f"{path.parent} skipped: Permission denied"]
