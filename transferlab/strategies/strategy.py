"""The base class of strategies: options, stages, and the facts that the rest of the project asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from transferlab.config.schema import AdaptationLoss
from transferlab.stages import NETWORK, Stage


class Strategy(ABC):
    """A strategy's options, as a dataclass, and its stages.

    Attributes:
        family: what kind of transfer it is, for the list of methods.
        all_target_labels: whether it reads every target training label, whatever the budget.
        takes_loss: whether it needs an adaptation loss; one that doesn't takes none.
        random_weights: whether the backbone begins with random weights even where the config names others.
        learns_numbers: whether labels may be numbers instead of classes; options can rule it out (``refuses_numbers``).
        source_free: whether the source, its held-out part too, is no longer read once another domain is.
        needs_batch_norm: whether the backbone must have BatchNorm layers.
        predictor: the modules that, one after the other, turn images into logits once all stages are done.
    """

    family: ClassVar[str]
    all_target_labels: ClassVar[bool] = False
    takes_loss: ClassVar[bool] = False
    random_weights: ClassVar[bool] = False
    learns_numbers: ClassVar[bool] = False
    source_free: ClassVar[bool] = False
    needs_batch_norm: ClassVar[bool] = False
    predictor: ClassVar[tuple[str, ...]] = NETWORK

    @property
    def revision(self) -> int:
        """Raised whenever results with these options change, and those of others don't."""
        return 0

    @property
    def classes(self) -> Literal["same", "any"]:
        """Whether source and target must have the same classes."""
        return "same"

    @property
    def needs_weights(self) -> bool:
        """Whether the backbone must begin with weights."""
        return False

    def refuses_numbers(self) -> str | None:
        """Why it can't learn labels that are numbers, in words; None if it can."""
        return None if self.learns_numbers else "it learns classes, and labels are numbers"

    def refuses_classes(self) -> str | None:
        """Why it can't learn classes, in words; None if it can."""
        return None

    def refuses_kind(self, kind: str) -> str | None:
        """Why it can't take inputs of a kind, by the kind's name, in words; None if it can."""
        return None

    def lacks(self, labels: Sequence[int]) -> str | None:
        """What it needs, in words, if ``labels``, the labelled target examples per class, are too few; else None."""
        return None

    @abstractmethod
    def stages(self, loss: AdaptationLoss | None) -> Sequence[Stage]:
        """The stages in order; ``loss`` is None where none was chosen."""

    def reads(self, loss: AdaptationLoss | None) -> set[str]:
        """The streams its stages read."""
        return {name for stage in self.stages(loss) for name in stage.streams}
