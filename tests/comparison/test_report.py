"""`compare` from the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jobs import Said

TrainTiny = Callable[..., Said]


def test_compare_rebuilds_the_tables_and_skips_what_it_cannot_read(
    train_tiny: TrainTiny, transferlab: Callable[..., Said], tmp_path: Path
) -> None:
    shown = train_tiny("strategy=dan").out
    table = (tmp_path / "comparison" / "table.csv").read_bytes()
    for path in (tmp_path / "comparison").iterdir():
        path.unlink()
    said = transferlab("compare", f"output_root={tmp_path}")
    assert (said.code, said.out, said.err) == (0, shown, "")
    assert (tmp_path / "comparison" / "table.csv").read_bytes() == table

    broken = sorted(tmp_path.glob("runs/**/result.json"))
    broken[0].write_text(broken[0].read_text()[:100])
    said = transferlab("compare", f"output_root={tmp_path}")
    assert said.code == 0
    assert str(broken[0]) in said.err
    for path in broken:
        path.write_text("{}")
    said = transferlab("compare", f"output_root={tmp_path}")
    assert said.code == 2
    assert "Traceback" not in said.err
    assert said.err.splitlines()[-1] == "run `transferlab train` first"


def test_comparing_nothing_is_refused(transferlab: Callable[..., Said], tmp_path: Path) -> None:
    said = transferlab("compare", f"output_root={tmp_path}")
    assert said.code == 2
    assert "no usable result" in said.err


def test_refused_config_of_compare(transferlab: Callable[..., Said]) -> None:
    for arguments, words in [(["margn=2"], "margin"), (["margin=wide"], "a number"), (["fail_on=bad"], "negative")]:
        said = transferlab("compare", *arguments)
        assert said.code == 2
        assert words in said.err
