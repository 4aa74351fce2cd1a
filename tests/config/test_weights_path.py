"""Which values of backbone.weights are files, and which are names of a library's."""

from __future__ import annotations

from pathlib import Path

import pytest

from transferlab.config.weights_path import weights_path


@pytest.mark.parametrize(
    "weights", ["w.pth", "x.pth.tar", "./w", "folder/w", "/none", "~/w", "~", "IMAGENET1K_V1.pth", "~nobody-at-all/w"]
)
def test_what_looks_like_a_path_is_one_though_it_does_not_exist(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    meant = (
        weights.replace("~/", "/home/me/") if weights.startswith("~/") else "/home/me" if weights == "~" else weights
    )
    assert weights_path(weights) == Path(meant)


def test_a_word_is_a_path_where_it_exists_and_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("weights", "DEFAULT", "IMAGENET1K_V1", "pretrained"):
        assert weights_path(name) is None
        (tmp_path / name).touch()
    assert weights_path("weights") == Path("weights")
    assert weights_path("DEFAULT") is None
    assert weights_path("IMAGENET1K_V1") is None
    assert weights_path("./DEFAULT") == Path("DEFAULT")
    assert weights_path("pretrained") is None
    assert weights_path("./pretrained") == Path("pretrained")
    assert weights_path("x" * 300) is None
