"""Which features does the class depend on? Pruners beside other ways to select features.

``python tests/benchmarks/feature_selection.py [seed ...]`` prints a Markdown table, medians
(lowest - highest) over seeds, by default 5 to 9; the sparsity was chosen on seeds 0 and 1. Circle
at depth 5 and width 100, in a network that reads 20 noise features as well; 3000 training and 2000
test samples. Features are selected by `SelectFromModel`, which keeps those of more than average
importance, according to the model itself or to permutations of the test data, and by
`get_support`.
"""

import sys
from typing import Any

import pandas as pd
from _common import prepare_worker, print_header, print_row, spread
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectFromModel, mutual_info_classif
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score
from skorch import NeuralNetClassifier

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import (
    GivenMaskPruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    SynFlowPruner,
)

SPARSITY = 0.995
TRAINING = {"final_epochs": 40, "schedule": "one-cycle"}
# As learning-rate rewinding is set by default.
ROUNDS = {"n_rounds": 25, "round_epochs": 6, "l1": "auto", "connected": True} | TRAINING


class MutualInformation(BaseEstimator):
    """The mutual information of each feature and the class, as importances."""

    def fit(self, X, y):
        self.feature_importances_ = mutual_info_classif(X, y, random_state=0)
        return self


def models(net: NeuralNetClassifier, seed: int) -> dict[str, Any]:
    """Make the models by name."""
    settings = {"prune_bias": True, "random_state": seed}
    return {
        "logistic regression": LogisticRegression(),
        "mutual information": MutualInformation(),
        "random forest": RandomForestClassifier(random_state=seed),
        "dense network": GivenMaskPruner(net, random_state=seed, **TRAINING),
        "SynFlow": SynFlowPruner(net, sparsity=SPARSITY, **settings, **TRAINING),
        "IMP": IterativeMagnitudePruner(net, sparsity=SPARSITY, **settings, **ROUNDS),
        "learning-rate rewinding, .9": LearningRateRewindingPruner(net, sparsity=0.9, **settings),
        "learning-rate rewinding": LearningRateRewindingPruner(net, sparsity=SPARSITY, **settings),
    }


def measure(seed: int) -> pd.DataFrame:
    """Measure recall and precision of the features that each model selects, in each way."""
    prepare_worker()
    generator = PlantedTicketGenerator("circle", n_noise_features=20, random_state=seed)
    planted = generator.generate(3000)
    X_test, y_test = planted.sample(2000, random_state=seed)

    def permuted(model: Any) -> Any:
        return permutation_importance(model, X_test, y_test, random_state=seed).importances_mean

    rows = {}
    for name, model in models(planted.make_net(lr=1e-2, batch_size=64), seed).items():
        model.fit(planted.X, planted.y)
        rows[name] = {}
        selectors = {"importance": SelectFromModel(model, prefit=True)}
        if hasattr(model, "predict"):
            rows[name]["accuracy"] = model.score(X_test, y_test)
            selectors["permutation"] = SelectFromModel(
                model, prefit=True, importance_getter=permuted
            )
        if hasattr(model, "get_support"):
            selectors["support"] = model
        for way, selector in selectors.items():
            if way != "support":
                selector.fit(planted.X)
            found = selector.get_support()
            rows[name][f"{way}: recall"] = recall_score(planted.input_support, found)
            rows[name][f"{way}: precision"] = precision_score(planted.input_support, found)
    return pd.DataFrame.from_dict(rows, orient="index")


if __name__ == "__main__":
    seeds = [int(seed) for seed in sys.argv[1:]] or range(5, 10)
    table = pd.concat(Parallel(n_jobs=-1)(delayed(measure)(seed) for seed in seeds))
    print_header("model", *table.columns)
    for name, group in table.groupby(level=0, sort=False):
        cells = (spread(values) if values.notna().all() else "" for _, values in group.items())
        print_row(name, *cells)
