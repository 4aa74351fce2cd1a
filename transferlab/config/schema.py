"""The root config of `train` and `compare`: every key with its type. Values stand in configs/, never here."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from transferlab.comparison.criterion import Criterion, MetricName
from transferlab.comparison.verdict_words import Verdict
from transferlab.config.auto_backbone import AutoBackbone
from transferlab.config.auto_optimizer import AutoOptimizer
from transferlab.config.component import Component
from transferlab.config.input_settings import ImageConfig, RegressionConfig, SignalConfig, TokensConfig
from transferlab.config.roles import Bridge, Source
from transferlab.config.values import refuse_less
from transferlab.errors import Refusal

Labels = int | Literal["all"]

MAX_COUNTS = {
    **{"steps": 10**9, "batch_size": 10**6, "bottleneck": 10**6, "threads": 1024, "snapshots": 10**4},
    **{"log_every": 10**9},
}
"""The largest sensible values of whole numbers that have to be at least 1."""

MAX_NAME_BYTES = 255
"""Length of a folder's name; no usual file system takes more."""

MAX_ROLE_BYTES = 120
"""Length of the name of a data set or strategy, two of which make a folder's name."""

MAX_SEEDS = 10_000

LOOKS = (5, 8, 12, 20, 30)
"""After how many seeds ``seeds=auto`` looks at the verdicts; each may be wrong in 2%, and all together in about 5%."""


@dataclass(frozen=True)
class AdaptationLoss:
    """The loss that draws the domains together, and how much it counts beside the cross-entropy."""

    component: Component
    weight: float

    @property
    def name(self) -> str:
        """The name of its YAML file."""
        return self.component.name


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One job of `transferlab train`: what to transfer, how, and on which seeds."""

    source: Source
    target: Component
    bridge: Bridge
    backbone: Component
    strategy: Component
    loss: AdaptationLoss | None
    optimizer: Component
    schedule: Component
    validator: Component
    seeds: int | list[int] | Literal["auto"]
    """A count (5: seeds 0 to 4), or the seeds themselves; ``auto`` for as many as each row needs to be decided."""
    baseline_seeds: int | Literal["auto"]
    """How many seeds the baseline gets that all rows share; ``auto`` for √rows times theirs."""
    max_seeds: int
    """Of a row, with ``seeds=auto``."""
    max_runs: int | None
    """How many runs a command trains at most; it goes on where it ended."""
    target_labels_per_class: Labels
    target_labels: Labels | None
    """The budget where labels are numbers: of all examples, not of each class; None for classification."""
    task: Literal["auto", "classification", "regression"]
    class_weight: Literal["balanced"] | None
    """Whether every class counts the same in cross-entropies; None: every example does."""
    regression: RegressionConfig | None
    """None for classification, once the data have said so."""
    steps: int
    """Length of each Fit unless the stage names its own."""
    batch_size: int
    """Examples per stream and step."""
    batch_statistics: Literal["joint", "per_domain"]
    """Whether the batches of several streams go through BatchNorm in one pass, or each in its own."""
    pretrained_lr_scale: float
    """Learning rate of a pretrained backbone, relative to the optimiser's, unless the stage has a scale of its own."""
    bottleneck: int
    """Width of the feature that heads and alignment losses see."""
    image: ImageConfig
    signal: SignalConfig
    tokens: TokensConfig
    standardise: Literal["source", "pool"]
    """Whose training examples give mean and deviation: the source's, or the unlabelled target's as well."""
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "fp32", "bf16"]
    threads: int
    deterministic: bool
    """Only algorithms that give the same bytes every time, on a GPU; on a CPU all do."""
    parallel: int | Literal["auto"]
    """Processes that train side by side; changes no number."""
    snapshots: int
    """How many evenly spaced states of the last Fit are kept for model selection."""
    log_every: int
    baselines: list[str]
    metric: MetricName | Literal["auto"]
    """What table and verdict are about."""
    margin: float
    """The largest difference that doesn't matter, in points of the metric; of an error, see ``Criterion``."""
    margin_unit: Literal["percent", "label"]
    fail_on: Verdict | list[Verdict] | None
    output_root: str
    overwrite: bool
    cache: bool
    """Whether Fits that several runs begin with are kept under output_root/cache; changes no number."""
    cache_gigabytes: float
    checkpoint_seconds: float
    """Time between two checkpoints of a Fit; changes no number."""
    allow_packages: list[str]

    def __post_init__(self) -> None:
        self._refuse_out_of_range()
        if self.parallel != "auto":
            refuse_less("parallel", self.parallel, 1)
        if self.batch_size < 2 * len(self.source.domains):
            what = "2 examples" if len(self.source.domains) == 1 else "2 examples of each source domain"
            raise Refusal(f"batch_size={self.batch_size}: batch normalisation needs at least {what}")
        for key in ("target_labels_per_class", "target_labels"):
            if isinstance(budget := getattr(self, key), int):
                refuse_less(key, budget, 0)
        if self.pretrained_lr_scale < 0:
            raise Refusal(f"pretrained_lr_scale={self.pretrained_lr_scale}: expected at least 0")
        if self.margin <= 0:
            raise Refusal(f"margin={self.margin}: expected more than 0 points")
        for key in ("cache_gigabytes", "checkpoint_seconds"):
            refuse_less(key, getattr(self, key), 0)
        if not self.seed_list or min(self.seed_list) < 0 or len(set(self.seed_list)) < len(self.seed_list):
            raise Refusal(f"seeds={self.seeds}: expected a count of at least 1, a list of different seeds, or auto")
        _refuse_no_folder(self.output_root)
        for data in (*self.source.domains, self.target, *(self.bridge.path or ()), *self.bridge.pool):
            if data.options.get("cache", self.output_root) != self.output_root:
                raise Refusal(f"{data.name}.cache={data.options['cache']}: files are kept below output_root alone")
        for role in (self.source, self.target, self.backbone, self.strategy):
            if not re.fullmatch(r"(?!\.+$)[\w.+-]+", role.name) or len(role.name.encode()) > MAX_ROLE_BYTES:
                allowed = f"at most {MAX_ROLE_BYTES} bytes of letters, digits and . _ + - only, and not dots alone"
                raise Refusal(f"name={role.name!r}: it becomes a folder name, so {allowed}")

    def _refuse_out_of_range(self) -> None:
        for key, largest in MAX_COUNTS.items():
            refuse_less(key, getattr(self, key), 1)
            if getattr(self, key) > largest:
                raise Refusal(f"{key}={getattr(self, key)}: expected at most {largest}")
        if not LOOKS[0] <= self.max_seeds <= LOOKS[-1]:
            raise Refusal(f"max_seeds={self.max_seeds}: expected {LOOKS[0]} to {LOOKS[-1]}, its first and last look")
        if self.max_runs is not None:
            refuse_less("max_runs", self.max_runs, 1)
            if self.overwrite:
                raise Refusal("max_runs: not with overwrite=true, which begins with the first run each time")
        if self.baseline_seeds != "auto":
            refuse_less("baseline_seeds", self.baseline_seeds, 1)
        for key in ("seeds", "baseline_seeds"):
            count = getattr(self, key)
            if isinstance(count, int) and count > MAX_SEEDS:
                raise Refusal(f"{key}={count}: expected a count of at most {MAX_SEEDS}")

    @property
    def seed_list(self) -> list[int]:
        """The seeds, one by one; with ``auto``, those before the first look."""
        count = LOOKS[0] if self.seeds == "auto" else self.seeds
        return list(range(count)) if isinstance(count, int) else count

    @property
    def takes_bridges(self) -> bool:
        """Whether the strategy crosses intermediate domains: it has an option for their number."""
        return "bridges" in self.strategy.options

    def crossing(self, path: tuple[Component, ...]) -> TrainConfig:
        """The same config with these bridges as its path; the strategy's option ``bridges`` gets their number."""
        strategy = replace(self.strategy, options={**self.strategy.options, "bridges": len(path)})
        return replace(self, bridge=Bridge(path), strategy=strategy)

    def for_kind(self, kind: str) -> TrainConfig:
        """The same config with ``backbone=auto`` replaced by the network for inputs of this kind, and its optimiser."""
        network = self.backbone.by_kind[kind] if isinstance(self.backbone, AutoBackbone) else self.backbone
        moved_by = self.optimizer.of(network, kind) if isinstance(self.optimizer, AutoOptimizer) else self.optimizer
        return replace(self, backbone=network, optimizer=moved_by)

    def for_task(self, *, regression: bool) -> TrainConfig:
        """The same config without the keys of the other task, which it doesn't depend on.

        Raises:
            Refusal: if a key of regression is null, and labels are numbers.
        """
        if not regression:
            return replace(self, target_labels=None, regression=None)
        if self.class_weight is not None:
            raise Refusal(f"class_weight={self.class_weight}: labels are numbers, and have no classes to weigh")
        for key in ("target_labels", "regression"):
            if getattr(self, key) is None:
                raise Refusal(f"{key}=null: labels are numbers, so it needs a value; leave it out for the default")
        return self

    @property
    def budget_key(self) -> str:
        """The key of the budget of target labels: in all where labels are numbers, else of each class."""
        return "target_labels_per_class" if self.target_labels is None else "target_labels"

    @property
    def budget(self) -> Labels:
        """The budget of target labels, once the config is one for its task."""
        return self.target_labels_per_class if self.target_labels is None else self.target_labels

    @property
    def criterion(self) -> Criterion:
        """By what rows are judged."""
        return Criterion(self.margin, self.metric, self.margin_unit)

    @property
    def root(self) -> Path:
        """Where runs, cache and comparison land."""
        return Path(self.output_root)


@dataclass(frozen=True, kw_only=True)
class ResolvedConfig(TrainConfig):
    """A job on one machine: ``auto`` of device and precision replaced by what it stands for there."""

    device: Literal["cpu", "cuda", "mps"]
    precision: Literal["fp32", "bf16"]


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """What `transferlab compare` reads and how it judges."""

    output_root: str
    metric: MetricName | Literal["auto"]
    margin: float
    margin_unit: Literal["percent", "label"]
    fail_on: Verdict | list[Verdict] | None
    curve: str | None
    """A key of the config, over whose values accuracies are drawn."""

    def __post_init__(self) -> None:
        _refuse_no_folder(self.output_root)
        if self.margin <= 0:
            raise Refusal(f"margin={self.margin}: expected more than 0 points")

    @property
    def criterion(self) -> Criterion:
        """By what rows are judged."""
        return Criterion(self.margin, self.metric, self.margin_unit)


def _refuse_no_folder(output_root: str) -> None:
    if not output_root.strip():
        raise Refusal("output_root=: expected a folder; . is the working directory")
    sizes = [len(name.encode(errors="surrogateescape")) for name in output_root.split("/")]
    if max(sizes) > MAX_NAME_BYTES:
        raise Refusal(f"output_root: the name of a folder has at most {MAX_NAME_BYTES} bytes, and one has {max(sizes)}")
    if "\0" in output_root or sum(sizes) > 3000:
        raise Refusal("output_root: no path, or too long a one; results lie in folders below it")
