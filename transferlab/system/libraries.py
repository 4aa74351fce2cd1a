"""Libraries that change settings of others when they are imported."""

from __future__ import annotations

import importlib
from typing import Any


def skada() -> Any:
    """Imports skada, and undoes its change to scikit-learn's global settings."""
    import sklearn

    with sklearn.config_context():
        import skada
    return skada


def skada_datasets() -> Any:
    """Imports skada's data sets in the same way."""
    skada()
    return importlib.import_module("skada.datasets")
