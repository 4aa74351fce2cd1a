"""The nearest class prototype as a head, from features of both domains."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot, pad

from transferlab.system.files import replaced
from transferlab.text import csv_cell, drawn_as_text, printable
from transferlab.training.streams import Examples


def nearest_prototype(examples: Mapping[str, Examples], *, classes: int) -> nn.Module:
    """A head that predicts the target class whose mean is nearest; it keeps the source classes' means too.

    Args:
        examples: features of ``target_labelled``, which give the prototypes, and of ``source``.
        classes: number of classes of the head.
    """
    source, target = examples["source"], examples["target_labelled"]
    assert source.labels is not None
    assert target.labels is not None
    return NearestPrototype(
        class_means(target.features, target.labels, classes),
        class_means(source.features, source.labels, int(source.labels.max()) + 1),
    )


def class_means(features: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Mean feature of each class: (n, d) and (n,) to (classes, d); NaN for a class without examples."""
    members = one_hot(labels, classes).to(features).T
    return members @ features / members.sum(1, keepdim=True)


def similarity(x: Tensor, y: Tensor) -> Tensor:
    """1 / (1 + ‖a − b‖) of every row a of ``x`` and b of ``y``: (n, d) and (m, d) to (n, m), in (0, 1].

    1 for equal rows, ½ at distance 1; unlike exp(−‖a − b‖²), it still distinguishes large distances.
    """
    return 1 / (1 + torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist"))


class NearestPrototype(nn.Linear):
    """Logits −‖f − μ_c‖² + ‖f‖² = 2μ_c · f − ‖μ_c‖²: softmax of minus the squared distance to each class mean.

    Snell et al. 2017, section 2.4, explain why this is linear. The head also keeps the source's means, and writes how
    similar the two domains' classes are.

    Args:
        prototypes: μ, (classes, d); a class whose prototype is NaN is never predicted.
        source: the means of the source's classes, (source classes, d).
    """

    source: Tensor
    target: Tensor

    def __init__(self, prototypes: Tensor, source: Tensor) -> None:
        super().__init__(prototypes.shape[1], len(prototypes))
        # Not part of the predictor's weights, which have to fit into any linear head.
        self.register_buffer("source", source, persistent=False)
        self.register_buffer("target", prototypes, persistent=False)
        known = ~prototypes.isnan().any(1)
        with torch.no_grad():
            self.weight.copy_(2 * prototypes.nan_to_num())
            self.bias.copy_(torch.where(known, -prototypes.nan_to_num().square().sum(1), -1e9))

    def write(self, folder: Path, source_classes: Sequence[str], target_classes: Sequence[str]) -> list[str]:
        """Writes the ``similarity`` of every source class with every target class, as a table and as a picture.

        ``class_similarity.csv`` has a row for each source class and a column for each target class; a class without
        examples has empty cells. ``class_similarity.png`` marks each target class's most similar source class.

        Args:
            folder: the folder of both files.
            source_classes: names, in the order of the labels.
            target_classes: names, in the order of the labels.

        Returns:
            The names of the two files.
        """
        source, target = (
            pad(means.detach().cpu().double(), (0, 0, 0, len(names) - len(means)), value=torch.nan)
            for means, names in ((self.source, source_classes), (self.target, target_classes))
        )
        matrix = similarity(source, target)
        rows = [[f"{value:.6f}" if value == value else "" for value in row] for row in matrix.tolist()]  # noqa: PLR0124
        path = folder / "class_similarity.csv"
        with replaced(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["source_class", *map(csv_cell, target_classes)])
            writer.writerows([csv_cell(name), *row] for name, row in zip(source_classes, rows, strict=True))
        with drawn_as_text(), replaced(folder / "class_similarity.png") as temporary:
            _draw(
                temporary,
                matrix,
                [*map(printable, source_classes)],
                [*map(printable, target_classes)],
            )
        return ["class_similarity.csv", "class_similarity.png"]


def _draw(path: Path, matrix: Tensor, source_classes: Sequence[str], target_classes: Sequence[str]) -> None:
    # Matplotlib takes a second to import; only runs that draw should wait. No pyplot, so no display is asked for.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = matrix.shape
    figure = Figure(figsize=(min(0.5 * width, 28) + 2.5, min(0.4 * height, 28) + 1.5), layout="constrained")
    axes = figure.add_subplot()
    # One scale for every picture: domains that are far apart should not look as if some classes were alike.
    picture = axes.imshow(matrix.numpy(), cmap="viridis", aspect="auto", vmin=0, vmax=1)
    font_size = 10 * min(1, 56 / max(height, width))
    rotation = 0 if max(map(len, target_classes)) <= 2 else 90
    axes.set_xticks(range(width), target_classes, rotation=rotation, fontsize=font_size)
    axes.set_yticks(range(height), source_classes, fontsize=font_size)
    axes.set_xlabel("target class")
    axes.set_ylabel("source class")
    nearest = matrix.nan_to_num(-1).argmax(0)
    known = (matrix.nan_to_num(-1).amax(0) >= 0).nonzero().flatten()
    axes.plot(known, nearest[known], "o", color="red", markerfacecolor="none", label="most similar source class")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    figure.colorbar(picture, label="similarity: 1 / (1 + distance)")
    FigureCanvasAgg(figure).print_png(path)
