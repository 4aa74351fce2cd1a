"""Why a strategy is where it is: how its features of source and target lie to each other.

    python benchmarks/causes.py outputs rendered_digits mnist5k_m source_only dan multitask

Reads the models that runs left under an output root, for strategies whose predictor is the plain network, and prints
for each the mean over seeds of: target test accuracy; how often a linear classifier tells the domains' features apart
(½ is never); how often a target example's nearest source class centroid is its own class's; and the mean probability
that the network gives to its own prediction.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from transferlab.config.jobs import compose_train
from transferlab.domains.task import load_task
from transferlab.experiment.run import Run
from transferlab.models.network import Blueprint, build_network
from transferlab.training.streams import as_tensor, in_chunks

Features = NDArray[np.float64]


def main(root: str, source: str, target: str, *strategies: str) -> None:
    """Prints a table, in Markdown."""
    ((contender, *_),) = compose_train([f"source={source}", f"target={target}", "baselines=[]"])
    config = contender.config
    pair = load_task(config)
    blueprint = Blueprint(config.backbone, pair.inputs, config.bottleneck, 10)
    print("| strategy | accuracy % | domains told apart % | nearest centroid right % | confidence % |")
    print("| --- | --- | --- | --- | --- |")
    for strategy in strategies:
        rows: list[list[float]] = []
        for file in sorted(Path(root).glob(f"runs/{source}-to-{target}/lenet/{strategy}/*/seed*/model.safetensors")):
            training, test = Run(contender, pair, int(file.parent.name.removeprefix("seed"))).examples()
            modules = build_network(blueprint)
            for name, module in modules.items():
                own = {key.removeprefix(f"{name}."): value for key, value in load_file(file).items()}
                module.load_state_dict({key: own[key] for key in module.state_dict()})
                module.eval()
            encoder = torch.nn.Sequential(modules["backbone"], modules["bottleneck"])
            ours, theirs = (in_chunks(encoder, as_tensor(one.inputs, "cpu")) for one in (training.source, test))
            sure, predicted = modules["head"](theirs).softmax(1).max(1)
            right = float((predicted.numpy() == test.labels).mean())
            features = ours.double().numpy(), theirs.double().numpy()
            nearest = _nearest(features[0], training.source.labels, features[1])
            rows.append([right, _told_apart(*features), float((nearest == test.labels).mean()), sure.mean().item()])
        if rows:
            print(f"| {strategy} | {' | '.join(f'{100 * value:.1f}' for value in np.mean(rows, axis=0))} |")


def _told_apart(source: Features, target: Features) -> float:
    """Cross-validated accuracy of logistic regression on as many examples of each."""
    count = min(len(source), len(target))
    random = np.random.default_rng(0)
    both = np.concatenate([one[random.permutation(len(one))[:count]] for one in (source, target)])
    both = (both - both.mean(0)) / (both.std(0) + 1e-6)
    domain = np.repeat([0, 1], count)
    return float(cross_val_score(LogisticRegression(max_iter=100, C=0.1), both, domain, cv=3).mean())


def _nearest(source: Features, labels: NDArray[np.int64], target: Features) -> NDArray[np.int64]:
    centroids = np.stack([source[labels == label].mean(0) for label in range(int(labels.max()) + 1)])
    return np.square(target[:, None] - centroids).sum(2).argmin(1)


if __name__ == "__main__":
    with torch.no_grad():
        main(*sys.argv[1:])
