"""Labels in the settings of a net: validation data and scoring callbacks."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, fbeta_score, make_scorer, precision_score
from skorch import NeuralNetBinaryClassifier
from skorch.callbacks import BatchScoring, EarlyStopping, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import Subset, TensorDataset

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import IterativeMagnitudePruner, SNIPPruner
from tests.instances import assert_refused, make_net, small_data

LABELS = {
    "codes": [0, 1],
    "strings": ["no", "yes"],
    "shifted": [1, 2],
    "signs": [-1, 1],
    "apart": [0.0, 5.0],
    "booleans": [False, True],
    "objects": np.array(["no", "yes"], dtype=object),
}


@pytest.fixture
def halves():
    X, y = small_data()
    return (X[:40], y[:40]), (X[40:], y[40:])


def histories(make, halves, column, labels):
    """A column of the history of a fit to labels, and to class numbers."""
    found = []
    for names in (np.asarray(labels), np.arange(2)):
        (X, y), (X_valid, y_valid) = halves
        net = make(names, X_valid, names[y_valid])
        pruner = SNIPPruner(net, sparsity=0.3, random_state=0).fit(X, names[y])
        found.append(pruner.estimator_.history[:, column])
    return found


DATASETS = {
    "arrays": Dataset,
    "wide": lambda X, y: Dataset(X.astype(np.float64), y),
    "subset": lambda X, y: Subset(Dataset(X, y), np.arange(20)),
    "lists": lambda X, y: [*zip(X, y, strict=True)],
}


@pytest.mark.parametrize(
    ("labels", "dataset"),
    [*((labels, "arrays") for labels in LABELS), *(("strings", dataset) for dataset in DATASETS)],
)
def test_validation_data_have_labels(labels, dataset, halves):
    def make(names, X_valid, y_valid):
        split = predefined_split(DATASETS[dataset](X_valid, y_valid))
        return make_net("classifier", max_epochs=2, train_split=split)

    given, codes = histories(make, halves, "valid_loss", LABELS[labels])
    assert given == codes


@pytest.mark.parametrize("module", ["column", "flat"])
@pytest.mark.parametrize("criterion", [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss])
def test_validation_targets_have_the_shape_of_the_outputs(module, criterion, halves):
    (X, _), (X_valid, _) = halves
    linear = nn.Linear(6, 1)
    layers = [linear] if module == "column" else [linear, nn.Flatten(0)]
    for dataset in (Dataset, lambda X, y: TensorDataset(*map(torch.from_numpy, (X, y)))):
        net = make_net(
            "regressor",
            module=partial(copy.deepcopy, nn.Sequential(*layers)),
            criterion=criterion,
            lr=0.0,
            max_epochs=1,
            train_split=predefined_split(dataset(X_valid, X_valid[:, 0])),
        )
        pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, X[:, 0])
        [loss] = pruner.estimator_.history[:, "valid_loss"]
        outputs = pruner.strong_predict(X_valid, rescale=False)
        expected = criterion()(torch.from_numpy(outputs), torch.from_numpy(X_valid[:, 0]))
        assert loss == pytest.approx(float(expected))


def test_binary_nets_have_validation_labels(halves):
    def make(names, X_valid, y_valid):
        return NeuralNetBinaryClassifier(
            MLP, train_split=predefined_split(Dataset(X_valid, y_valid)), max_epochs=2, verbose=0
        )

    given, codes = histories(make, halves, "valid_loss", [1, 2])
    assert given == codes


def test_validation_data_of_other_labels_are_refused(halves):
    (X, y), (X_valid, y_valid) = halves
    for data, problem in [
        ((X_valid, y_valid), "unseen labels"),
        ((X_valid[:, :3], y_valid + 1), "shapes cannot be multiplied"),
    ]:
        net = make_net("classifier", train_split=predefined_split(Dataset(*data)))
        complaint = rf"train_split=.*{problem}.*same columns and labels as X and y"
        assert_refused(SNIPPruner(net), (X, y + 1), f"(?s){complaint}")


def test_validation_data_do_not_change_the_training(halves):
    histories = []
    for split in (None, predefined_split(Dataset(*halves[1]))):
        net = make_net("classifier", max_epochs=2, train_split=split)
        pruner = SNIPPruner(net, sparsity=0.3, random_state=0).fit(*halves[0])
        histories.append(pruner.estimator_.history[:, "train_loss"])
    assert histories[0] == histories[1]


def test_other_splits_stay(halves):
    split = ValidSplit(4, stratified=True)
    net = make_net("classifier", train_split=split, max_epochs=1)
    pruner = SNIPPruner(net, sparsity=0.3, random_state=0).fit(*halves[0])
    assert isinstance(pruner.estimator_.train_split, ValidSplit)


SCORINGS = {
    "pos_label": lambda names: make_scorer(f1_score, pos_label=names[1]),
    "other class": lambda names: make_scorer(precision_score, pos_label=names[0]),
    "labels": lambda names: make_scorer(
        fbeta_score, beta=2, pos_label=None, labels=names[:1], average="macro"
    ),
    "threshold": lambda names: "roc_auc",
    "probabilities": lambda names: "neg_log_loss",
    "name": lambda names: "balanced_accuracy",
    "function": lambda names: lambda net, X, y: np.mean(net.predict(X) == y),
}


@pytest.mark.parametrize(
    ("labels", "scoring"),
    [
        *((labels, "pos_label") for labels in LABELS),
        *(("shifted", scoring) for scoring in SCORINGS),
    ],
)
def test_scoring_callbacks_see_labels(labels, scoring, halves):
    def make(names, X_valid, y_valid):
        metric = SCORINGS[scoring](names.tolist())
        callback = EpochScoring(metric, lower_is_better=False, name="own")
        return make_net(
            "classifier",
            max_epochs=2,
            callbacks=[("own", callback)],
            train_split=predefined_split(Dataset(X_valid, y_valid)),
        )

    given, codes = histories(make, halves, "own", LABELS[labels])
    assert given == codes


@pytest.mark.parametrize("place", ["callbacks", "callbacks__valid_acc"])
def test_a_label_that_is_also_a_class_number(place, halves):
    """With labels 1 and 2, the score of class 1 is that of the label, as in scikit-learn."""
    (X, y), _ = halves
    callback = EpochScoring("f1", on_train=True, lower_is_better=False, use_caching=False)
    given = {place: [callback] if place == "callbacks" else callback}
    net = make_net("classifier", max_epochs=3, **given)
    pruner = SNIPPruner(net, sparsity=0.3, random_state=0).fit(X, y + 1)
    expected = f1_score(y + 1, pruner.predict(X), pos_label=1)
    assert pruner.estimator_.history[-1, "f1"] == pytest.approx(expected)
    assert expected != f1_score(y + 1, pruner.predict(X), pos_label=2)


@pytest.mark.parametrize("scoring", ["f1", make_scorer(f1_score, pos_label="maybe")])
def test_scorers_that_do_not_take_the_labels_are_refused(scoring, halves):
    (X, y), _ = halves
    net = make_net("classifier", callbacks=[EpochScoring(scoring, on_train=True)])
    complaint = r"callback 'EpochScoring' scores labels.*\['no', 'yes'\].*pos_label"
    assert_refused(SNIPPruner(net), (X, np.array(["no", "yes"])[y]), complaint)


def test_early_stopping_by_a_label(halves):
    (X, y), (X_valid, y_valid) = halves
    names = np.array(["no", "yes"])
    net = make_net(
        "classifier",
        callbacks=[
            EpochScoring(make_scorer(f1_score, pos_label="yes"), False, name="f1"),
            BatchScoring("accuracy", name="batch_accuracy"),
            EarlyStopping("f1", patience=2, lower_is_better=False),
        ],
        train_split=predefined_split(Dataset(X_valid, names[y_valid])),
    )
    pruner = IterativeMagnitudePruner(net, sparsity=0.3, n_rounds=2, random_state=0)
    copied = pickle.loads(pickle.dumps(pruner.fit(X, names[y])))
    assert len(copied.estimator_.history) < 30
    np.testing.assert_array_equal(copied.predict(X), pruner.predict(X))
