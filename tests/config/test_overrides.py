"""Words of a command line: taken as they stand where they can be, else refused with the spelling that works."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from jobs import TINY, Said, rows_of
from omegaconf import OmegaConf

from transferlab.config.interpolations import resolved
from transferlab.config.jobs import compose_train
from transferlab.config.overrides import understood
from transferlab.errors import Refusal

Train = Callable[..., Said]

PATHS = [
    *("data/été", "数据", "a=b", "a (1)", "[x]", "#1", "a&b", "a;b", "it's", 'say "x"', "a\\", "x:y", "$(x)", "{x"),
    *("~nobody/x", "2024", "1e5", "001", "a  b", "!x", "a|b", "<x>", "50%", "*", "?", "`x`", "a,b", "1,000 x"),
]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_is_taken_as_it_stands(path: str) -> None:
    (line,) = understood([f"source.path={path}"]).overrides
    assert OverridesParser.create().parse_override(line).value() == path


def test_so_are_those_that_hydra_can_not_read(transferlab: Train, tmp_path: Path) -> None:
    path = """été (1) [x] #b & c; "d" = 'e'"""
    said = transferlab("train", "source=folder", f"source.path={path}", f"output_root={tmp_path / 'out'}")
    assert said.code == 2
    assert f"{path!r}: there is no such folder" in said.err


def test_an_output_root_is_text() -> None:
    assert rows_of("output_root=2024")[0].config.root == Path("2024")


def test_a_tilde_is_the_home_folder_for_all_who_refer_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = rows_of("output_root=~/out", "source=folder", "source.path=x")[0].config
    assert config.root == tmp_path / "out"
    assert config.source.domains[0].options["cache"] == str(tmp_path / "out")


def test_lists_and_sweeps_of_words_outside_ascii() -> None:
    assert understood(["source.domains=[été,数]"]).overrides == ['source.domains=["été","数"]']
    assert understood(["-m", "source.path=été,b"]).overrides == ['source.path="été","b"']


REFUSED = {
    "a key as a flag": (["--experiment", "smoke"], "experiment=smoke"),
    "a key as a flag, with its value": (["--steps=5"], "steps=5"),
    "a key as a flag, with dashes": (["--batch-size", "5"], "batch_size=5"),
    "a group as a flag": (["--source", "digits"], "source=digits"),
    "the start of a flag": (["--exp", "x"], "--exp: no such flag"),
    "the start of Hydra's": (["--multi"], "Did you mean --multirun?"),
    "a flag that unpickles": (["--experimental-rerun", "x.pickle"], "no such flag"),
    "another root config": (["--config-name", "compare"], "no such flag"),
    "another root folder": (["--config-path", "/x"], "no such flag"),
    "no folder of configs": (["--config-dir", "/no/such"], "there is no such folder"),
    "nothing": (["output_root="], "expected a folder"),
    "blanks": (['output_root="  "'], "expected a folder"),
    "a key taken away": (["~seeds"], "write seeds=…"),
    "a shell's variable": (["output_root=${HOME}"], "${oc.env:HOME}"),
    "no such key": (["steps=${nope}"], "steps=${nope}: there is no key nope"),
    "a shell's variable that is not set": (["output_root=${NO_SUCH}"], "${oc.env:NO_SUCH}"),
    "two that stand for each other": (
        ["steps=${batch_size}", "batch_size=${steps}"],
        "Recursive interpolation detected",
    ),
    "no such variable": (["steps=${oc.env:NO_SUCH}"], "no environment variable NO_SUCH"),
    "not closed": (["steps=${nope"], "no value or interpolation that can be read"),
    "a quoted number": (['steps="5"'], 'steps="5": expected a whole number'),
    "a quoted number for an optimiser of torch's": (
        ["optimizer=sgd", "optimizer._target_=torch.optim.SGD", 'optimizer.lr="0.1"'],
        'optimizer.lr="0.1": expected a number',
    ),
    "a number without end": ([f"steps={'1' * 5000}"], "expected a whole number"),
    "longer than anything": ([f"steps={'1' * 20000}"], "20006 characters"),
    "nested without end": ([f"steps={'[' * 3000}"], "expected a whole number"),
    "a control character": (["steps=\x1b[31m5"], "\\x1b[31m5: holds a character that can't be seen"),
    "a line break": (["steps=\n5"], "\\x0a5: holds a character that can't be seen"),
    "a name of dots": (["strategy.name=.."], "not dots alone"),
    "a group of no name": (["strategy@=dann"], "strategy@"),
    "a group of a long name": ([f"source={'x' * 300}"], "no such name"),
    "two things at once": (["--cfg", "job", "--info"], "--cfg and --info: only one of them can be given"),
    "one job and several": (["--run", "-m"], "--run and --multirun: only one of them can be given"),
    "nothing to resolve for": (["--resolve"], "--resolve: shows values in a printed config; add --cfg job"),
    "resolved to nothing": (["--cfg", "job", "--resolve", "steps=${nope}"], "steps=${nope}: there is no key nope"),
    "no launcher": (["hydra.launcher=null"], "hydra.launcher=None: of Hydra's settings only"),
    "no sweeper": (["hydra.sweeper=null"], "hydra.sweeper=None: of Hydra's settings only"),
    "Hydra's own fault": (['hydra.sweeper.params={seeds:"1,2"}'], "has no attribute"),
    "batches of no jobs": (["-m", "hydra.sweeper.max_batch_size=0", "steps=2,3"], "hydra.sweeper.max_batch_size=0"),
    "another folder of a job": (
        ["-m", "hydra.sweep.subdir=/x", "steps=2,3"],
        "hydra.sweep.subdir=/x: ",
    ),
    "no folder to search": (["hydra.searchpath=[/no/such]"], "hydra.searchpath: /no/such: there is no such folder"),
    "a variable without a name": (["steps=${oc.env:}"], "oc.env takes a name"),
    "two of a group": (["strategy=dan,dann"], "one value, please; to try each in turn, add -m"),
    "no option of a group": (["strategy=null"], "strategy=null: expected the name of one of the group's options"),
    "a folder of a long name": ([f"output_root=x/{'a' * 300}/y"], "a folder has at most 255 bytes, and one has 300"),
    "more threads than any machine has": (["threads=100000"], "threads=100000: expected at most 1024"),
    "a batch beyond all": ([f"batch_size={10**20}"], "expected at most 1000000"),
    "images beyond all": (["image.size=100000"], "image.size=100000: expected at most 8192"),
    "seeds beyond all": (["seeds=99999999"], "seeds=99999999: expected a count of at most 10000"),
    "a sweep over too much": (["-m", "steps=range(1,1000000)"], "more than 10000 jobs in one sweep"),
    "a product of too much": (["-m", "steps=range(1,102)", "margin=range(1,102)"], "more than 10000 jobs in one sweep"),
    "a sweep over nothing": (["-m", "steps=range(0)"], "nothing to do"),
    "a cache elsewhere": (["source=folder", "source.path=x", "source.cache=/x"], "below output_root alone"),
}


@pytest.mark.parametrize(("arguments", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_in_words(arguments: list[str], words: str) -> None:
    with pytest.raises(Refusal) as refusal:
        compose_train(arguments)
    assert words in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert len(str(refusal.value)) < 1200


def test_of_two_values_the_last_counts_and_that_is_said(transferlab: Train, tmp_path: Path) -> None:
    said = transferlab("train", *TINY, "steps=0", f"output_root={tmp_path / 'out'}")
    assert said.err.splitlines() == [
        "transferlab: steps is given 2 times; the last one counts: steps=0",
        "transferlab: steps=0: expected at least 1",
    ]


SECRET = "${oc.env:A_SECRET}"


@pytest.mark.parametrize("form", [SECRET, f"x_{SECRET}", f"${{oc.select:image.nope,{SECRET}}}"])
def test_a_variable_of_the_environment_stands_in_a_path_alone(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    config = OmegaConf.create({"image": {"size": 8}, "source": {"path": form, "examples": form, "name": "a"}})
    value = form.replace(SECRET, "hush").replace("${oc.select:image.nope,hush}", "hush")
    assert resolved(config)["source"] == {"path": value, "examples": value, "name": "a"}
    others = {"output_root": form, "backbone": {"weights": form}}
    assert resolved(OmegaConf.create({"image": {"size": 8}, **others})) == {
        **{"image": {"size": 8}, "output_root": value, "backbone": {"weights": value}}
    }
    for node in ({"source": {"name": form}}, {"strategy": {"layer": form}}, {"fail_on": [form]}, {"seeds": form}):
        with pytest.raises(Refusal, match="a variable of the environment may stand in a path alone"):
            resolved(OmegaConf.merge(config, node))


def test_nor_in_what_a_table_says_of_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "hush")
    assert "hush" not in rows_of("source=folder", f"source.path=x_{SECRET}")[0].setting


@pytest.mark.parametrize("form", ["x${oc.decode:${oc.env:SAID}}", "${oc.decode:${oc.env:SAID}}"])
def test_a_number_from_the_environment_is_in_no_text_either(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("7", "7.5", "[a,b]"):
        monkeypatch.setenv("SAID", said)
        if said[0] == "[" or form[0] == "x":
            with pytest.raises(Refusal, match="may stand in a path alone"):
                resolved(OmegaConf.create({"target": {"name": form}, "baselines": form}))
        else:
            assert type(resolved(OmegaConf.create({"steps": form}))["steps"]) in (int, float)
    monkeypatch.setenv("SAID", "[a,b]")
    for node in ({"source": {"domains": form}}, {"bridge": {"path": form}}):
        with pytest.raises(Refusal, match="may stand in a path alone"):
            resolved(OmegaConf.create(node))


def test_hydras_plus_before_a_group_is_taken() -> None:
    assert understood(["+experiment=smoke", "+backbone@strategy.teacher=dtn"]).overrides == [
        "experiment=smoke",
        "+backbone@strategy.teacher=dtn",
    ]


@pytest.mark.parametrize("flags", ["--help", "--cfg job"])
def test_printing_for_a_reader_who_goes(flags: str) -> None:
    line = f"{shlex.quote(sys.executable)} -m transferlab train {flags}"
    gone = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{line} | true"], capture_output=True, text=True, check=False
    )
    assert (gone.returncode, gone.stderr) == (0, "")
    full = subprocess.run(["bash", "-c", f"{line} >/dev/full"], capture_output=True, text=True, check=False)
    assert (full.returncode, full.stderr) == (1, "transferlab: can't write to stdout: No space left on device\n")


def test_the_flags_are_listed(transferlab: Train) -> None:
    for command in ("train", "compare"):
        said = transferlab(command, "--hydra-help")
        assert (said.code, said.err) == (0, "")
        assert "--config-dir" in said.out
        assert "job|hydra|all" in said.out


def test_a_variable_may_be_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORES", "3")
    (line,) = understood(["threads=${oc.decode:${oc.env:CORES}}"]).overrides
    assert resolved(OmegaConf.from_dotlist([line.replace('"', "")])) == {"threads": 3}


def test_the_folder_of_configs_may_be_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    assert understood(["--config-dir", "~/mine"]).config_dir == tmp_path / "mine"
