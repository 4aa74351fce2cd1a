"""The rooms import one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "transferlab"

LAYERS = [
    {"errors", "text"},
    {"system"},
    {"comparison", "evaluation", "images", "losses", "weights"},
    {"config"},
    {"inputs"},
    {"records"},
    {"stages", "domains"},
    {"strategies", "models", "public_data"},
    {"augmentation", "backbones", "training"},
    {"estimates"},
    {"solvers"},
    {"cache"},
    {"experiment"},
    {"inspection"},
    {"cli"},
    {"__main__"},
]
"""A file may import from its own room and from rooms of earlier layers."""

LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
@pytest.mark.smoke
def test_imports_point_one_way(path: Path) -> None:
    room = _room(path)
    if room == "__init__":
        return
    for name in _imports(path):
        package, _, rest = name.partition(".")
        if package == "transferlab" and rest:
            other = rest.partition(".")[0]
            assert other == room or LEVEL[other] < LEVEL[room], f"{path.name} imports {name}"


TORCH_FREE = [
    *("public_data", "cli", "comparison", "config", "domains", "images", "inputs", "stages", "strategies"),
    *("system", "text"),
]


@pytest.mark.smoke
@pytest.mark.parametrize("room", TORCH_FREE)
def test_torch_free_rooms_stay_so(room: str) -> None:
    files = [path for path in PACKAGE.rglob("*.py") if _room(path) == room]
    modules = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in files]
    program = f"import sys; import {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_run_imports_no_library_that_it_does_not_need() -> None:
    """scikit-learn, pandas and torchvision take seconds: they come with the modules of those strategies that use them.

    These are the modules that are imported before a run's clock starts, and once for all processes. One process imports
    them for one strategy after the other.
    """
    program = """
import sys
from transferlab.config.jobs import compose_train
from transferlab.config.component import modules_of
for strategy in ("dann", "feature_extraction", "shallow"):
    config = compose_train([f"strategy={strategy}", "baselines=[]"])[0][0].config
    for module in ("transferlab.experiment.execution", *modules_of((config, config.strategy().stages(config.loss)))):
        __import__(module)
    print(strategy, *sorted({"sklearn", "pandas", "torchvision"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    dann, feature_extraction, shallow = done.stdout.splitlines()
    assert (dann, feature_extraction) == ("dann", "feature_extraction")
    assert "sklearn" in shallow
    assert "torchvision" not in shallow
