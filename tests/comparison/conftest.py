import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from estimates_made import made_test_set

from transferlab.system.files import json_digest


def made_result(strategy: str, seed: int, accuracy: float | None, /, **fields: Any) -> dict[str, Any]:
    """What a finished run writes, as far as the comparison reads it; no accuracy means it diverged."""
    result: dict[str, Any] = {
        "schema_version": 1,
        "run_id": f"{strategy}-id",
        "comparison_id": "c0ffee",
        "status": "diverged" if accuracy is None else "ok",
        "source": "mnist5k",
        "target": "digits",
        "backbone": "lenet",
        "strategy": strategy,
        "variant": "",
        "loss": "",
        "seed": seed,
        "target_labels_per_class": "all" if strategy == "target_oracle" else 3,
        "metrics": {"target_accuracy": accuracy, "source_accuracy": None},
        "timing": {"seconds": 10.0 + seed, "updates": 100},
        "test_set": {} if accuracy is None else made_test_set(strategy, accuracy),
    } | fields
    return result | {"sha256": json_digest(result)}


class Outputs:
    """A folder of outputs that fills with made results."""

    def __init__(self, root: Path):
        self.root = root

    def add(self, strategy: str, accuracies: Sequence[float | None], first_seed: int = 0, **fields: Any) -> list[Path]:
        return [
            self.write(made_result(strategy, seed, accuracy, **fields))
            for seed, accuracy in enumerate(accuracies, first_seed)
        ]

    def write(self, result: dict[str, Any]) -> Path:
        names = ("comparison_id", "strategy", "run_id", "variant", "loss")
        folder = "-".join(str(result[name]) for name in names).replace("/", "")
        path = self.root / "runs" / "pair" / "lenet" / folder / f"seed{result['seed']}" / "result.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result))
        return path


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


@pytest.fixture
def result() -> Callable[..., dict[str, Any]]:
    return made_result
