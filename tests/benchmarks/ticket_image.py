"""From a sparse network to a weak ticket: do other units of the host suit its structure better?

``python tests/benchmarks/ticket_image.py [--seeds ...] [task ...]`` prints a Markdown table, a row
per seed: depth 5, width 100, 9000 training samples, noisy test data.
`LearningRateRewindingPruner` finds a sparse network at the planted size (weights pruned, biases
not). An *image* of its mask is the same structure on other hidden units. Images are found by
simulated annealing over the units, one at a time: a network of *initial* weights and biases shall
compute what the trained one does, up to a factor and an offset per output. Of these images, those
that train best on the training data in 15 epochs are trained in several orders of the data, and
the best becomes the mask.

All masks are then trained from the initial weights by `GivenMaskPruner` for 60 epochs. Controls:
the sparse network's own mask, the image on re-initialized weights, and the best of as many images
on random units, chosen in the same way.
"""

import argparse
import sys
import time

import numpy as np
import torch
from _common import plant, prepare_worker, print_header, print_row, quality
from joblib import Parallel, delayed
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss
from torch.optim.lr_scheduler import OneCycleLR

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import GivenMaskPruner, LearningRateRewindingPruner

N_IMAGES, N_FINALISTS, N_ORDERS, N_ROWS = 64, 8, 4, 150
# Temperatures of the logarithm of the distance, one per sweep over all units.
TEMPERATURES = (*np.geomspace(0.3, 0.003, 10), 0)
SHORT_EPOCHS, EPOCHS, RATE, BATCH_SIZE = 15, 60, 1e-2, 64

# Host units, an index array per layer of units, inputs and outputs included.
Units = list[Tensor]


def distance(outputs: Tensor, targets: Tensor) -> Tensor:
    """Compute the share of the targets' variance that outputs times a factor do not explain."""
    outputs = outputs - outputs.mean(dim=-2, keepdim=True)
    targets = targets - targets.mean(dim=0)
    covariance = (outputs * targets).sum(dim=-2)
    factor = (covariance / outputs.square().sum(dim=-2).clamp(min=1e-12)).clamp(min=0)
    return 1 - (factor * covariance).sum(dim=-1) / targets.square().sum()


class Images:
    """Images of a sparse network in a host of fully connected layers."""

    def __init__(self, net: LearningRateRewindingPruner, host: dict[str, Tensor], X: Tensor):
        self.names = [name for name in host if host[name].ndim > 1]
        self.weights = [host[name] for name in self.names]
        self.biases = [value for value in host.values() if value.ndim == 1]
        kept = [net.mask_[name] for name in self.names]
        # Units with a path to the outputs, from the outputs downward.
        self.units = [torch.arange(len(kept[-1]))]
        for layer in reversed(kept):
            self.units.insert(0, layer[self.units[0]].any(dim=0).nonzero()[:, 0])
        self.kept = [
            layer[above][:, below].float()
            for layer, below, above in zip(kept, self.units[:-1], self.units[1:], strict=True)
        ]
        self.X = X
        self.targets = torch.from_numpy(net.estimator_.forward(X).numpy())

    def draw(self, rng: np.random.Generator) -> Units:
        """Draw random units of the hidden layers."""
        hidden = zip(self.units[1:-1], self.biases[:-1], strict=True)
        drawn = [torch.from_numpy(rng.permutation(len(b))[: len(units)]) for units, b in hidden]
        return [self.units[0], *drawn, self.units[-1]]

    def start(self, units: Units) -> list[Tensor]:
        """Select the initial weights and biases of an image, layer by layer."""
        start = []
        for k, kept in enumerate(self.kept):
            start += [self.weights[k][units[k + 1]][:, units[k]] * kept]
            start += [self.biases[k][units[k + 1]]]
        return start

    def mask(self, units: Units) -> TicketMask:
        """Make the mask that keeps the image."""
        masks = {}
        for k, (name, kept) in enumerate(zip(self.names, self.kept, strict=True)):
            masks[name] = torch.zeros_like(self.weights[k], dtype=torch.bool)
            masks[name][units[k + 1][:, None], units[k]] = kept.bool()
        return TicketMask(masks)

    def distances(self, units: Units, layer: int, i: int, hidden: list[Tensor]) -> Tensor:
        """Compute the distance with each host unit in the place of unit i of a layer."""
        start = self.start(units)
        incoming = self.weights[layer - 1][:, units[layer - 1]] * self.kept[layer - 1][i]
        values = (hidden[layer - 1] @ incoming.T + self.biases[layer - 1]).relu()
        outgoing = self.weights[layer][units[layer + 1]] * self.kept[layer][:, i, None]
        weight, bias = start[2 * layer : 2 * layer + 2]
        others = hidden[layer] @ weight.T + bias - torch.outer(hidden[layer][:, i], weight[:, i])
        outputs = others + torch.einsum("nc,oc->cno", values, outgoing)
        for weight, bias in zip(start[2 * layer + 2 :: 2], start[2 * layer + 3 :: 2], strict=True):
            outputs = outputs.relu() @ weight.T + bias
        found = distance(outputs, self.targets)
        taken = units[layer][torch.arange(len(units[layer])) != i]
        return found.index_fill(0, taken, torch.inf)

    def anneal(self, units: Units, rng: np.random.Generator) -> Units:
        """Replace unit by unit, each with probabilities that fall with the distance."""
        for temperature in TEMPERATURES:
            for layer in rng.permutation(np.arange(1, len(self.kept))):
                for i in rng.permutation(len(units[layer])):
                    start, hidden = self.start(units), [self.X]
                    for k in range(layer):
                        weight, bias = start[2 * k : 2 * k + 2]
                        hidden.append((hidden[-1] @ weight.T + bias).relu())
                    energy = self.distances(units, layer, i, hidden).double().log().numpy()
                    if temperature:
                        odds = np.exp((energy.min() - energy) / temperature)
                        choice = int(rng.choice(len(odds), p=odds / odds.sum()))
                    else:
                        choice = int(energy.argmin())
                    units[layer][i] = choice
        return units

    def train(self, images: list[Units], X: Tensor, y: Tensor, epochs: int) -> Tensor:
        """Train images together, in the same order of the data, and return their losses."""
        starts = zip(*map(self.start, images), strict=True)
        parameters = [torch.stack(values).requires_grad_() for values in starts]
        optimizer = torch.optim.Adam(parameters, fused=True)
        n_steps = epochs * -(-len(X) // BATCH_SIZE)
        schedule = OneCycleLR(optimizer, RATE, total_steps=n_steps)

        def losses(X: Tensor, y: Tensor) -> Tensor:
            outputs = X.expand(len(images), *X.shape)
            for k, kept in enumerate(self.kept):
                weight, bias = parameters[2 * k : 2 * k + 2]
                outputs = outputs.relu() if k else outputs
                outputs = torch.baddbmm(bias[:, None], outputs, (weight * kept).transpose(1, 2))
            if y.is_floating_point():
                each = mse_loss(outputs, y.expand_as(outputs), reduction="none").mean(dim=2)
            else:
                each = cross_entropy(
                    outputs.transpose(1, 2), y.expand(len(images), -1), reduction="none"
                )
            return each.mean(dim=1)

        for _ in range(epochs):
            for rows in torch.randperm(len(X)).split(BATCH_SIZE):
                optimizer.zero_grad()
                losses(X[rows], y[rows]).sum().backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            return losses(X, y)

    def best(self, images: list[Units], X: Tensor, y: Tensor) -> Units:
        """Choose the image that trains best, of those that train best in few epochs."""
        order = self.train(images, X, y, SHORT_EPOCHS).argsort()
        finalists = [images[i] for i in order[:N_FINALISTS]]
        runs = [self.train(finalists, X, y, EPOCHS).log() for _ in range(N_ORDERS)]
        return finalists[int(torch.stack(runs).mean(dim=0).argmin())]


def measure(task: str, seed: int) -> list[float]:
    """Measure the sparse network, its image, and controls on test data."""
    prepare_worker()
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    planted, train, test = plant(task, seed)
    net = planted.make_net(lr=RATE, batch_size=BATCH_SIZE)
    counts = planted.mask.summary()
    counts = counts[counts["shape"].map(len) > 1]
    density = counts["n_kept"].sum() / counts["n_parameters"].sum()
    found = LearningRateRewindingPruner(net, sparsity=1 - density, random_state=seed).fit(*train)

    def trained(mask: TicketMask, reinitialize: bool = False) -> float:
        settings = {"final_epochs": EPOCHS, "schedule": "one-cycle", "random_state": seed}
        control = GivenMaskPruner(net, mask, reinitialize=reinitialize, **settings).fit(*train)
        return quality(task, test[1], control.predict(test[0]))

    began = time.perf_counter()
    X, y = (torch.from_numpy(array) for array in train)
    rows = torch.from_numpy(rng.permutation(len(X))[:N_ROWS])
    images = Images(found, planted.module().state_dict(), X[rows])
    annealed = [images.anneal(images.draw(rng), rng) for _ in range(N_IMAGES)]
    image = images.mask(images.best(annealed, X, y))
    seconds = time.perf_counter() - began
    random = images.mask(images.best([images.draw(rng) for _ in range(N_IMAGES)], X, y))
    row = [
        image.n_kept,
        quality(task, test[1], found.predict(test[0])),
        trained(image),
        trained(found.mask_),
        trained(image, reinitialize=True),
        trained(random),
        seconds,
    ]
    print(task, seed, row, file=sys.stderr, flush=True)
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", default=["helix", "circle"])
    parser.add_argument("--seeds", nargs="+", type=int, default=range(5, 10))
    args = parser.parse_args()
    columns = ["weights", "sparse net", "image", "its own mask", "image, re-initialized"]
    print_header("task", "seed", *columns, "best of random images", "seconds")
    for task in args.tasks:
        runs = Parallel(n_jobs=-1)(delayed(measure)(task, seed) for seed in args.seeds)
        for seed, row in zip(
            [*args.seeds, "median"], [*runs, np.median(runs, axis=0)], strict=True
        ):
            print_row(task, seed, *(f"{value:.3g}" for value in row))


if __name__ == "__main__":
    main()
