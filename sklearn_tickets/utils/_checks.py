"""Checks of the contract that every pruner must satisfy.

scikit-learn's checks do not detect pruning bugs: a pruner that trains without its mask,
keeps the wrong weights or reports another mask than it uses passes them all.
"""

import copy
import pickle
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import torch
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_classification, make_regression
from skorch import NeuralNet
from torch import nn

from sklearn_tickets._network import plain_module, prunable_parameters
from sklearn_tickets.masks import LayerCollapseWarning, Scope, TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners.base import BasePruner, Rounds, ScoringPruner, SparsityPruner


def check_pruner(pruner: BasePruner) -> None:
    """Check that a pruner satisfies the contract of this library.

    It must hold its mask exactly, keep the promised number of best-scored parameters, report
    the mask it uses, nest its rounds (unless its parameters let what was pruned return), prune on
    from a mask, be reproducible bit for bit, survive pickling, and leave its arguments and the
    global random streams unchanged.

    Parameters
    ----------
    pruner : BasePruner
        An unfitted pruner around a small, fast net whose module takes the numbers of
        features and outputs from the data.

    Raises
    ------
    AssertionError
        If a part of the contract is violated; the message says which.

    See Also
    --------
    sklearn.utils.estimator_checks.check_estimator : The checks of scikit-learn.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> from sklearn_tickets.utils import check_pruner
    >>> net = NeuralNetClassifier(
    ...     MLP, criterion=torch.nn.CrossEntropyLoss, train_split=None, max_epochs=2, verbose=0
    ... )
    >>> check_pruner(MagnitudePruner(net, sparsity=0.5, random_state=0))
    """
    X, y = _data(pruner)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LayerCollapseWarning)
        fitted = _check_no_side_effects(pruner, X, y)
        _check_repeats(pruner, fitted, X, y)
        _check_pickles(fitted, X)
        _check_mask_is_held(fitted)
        _check_rounds(fitted)
        if isinstance(pruner, SparsityPruner):
            if pruner.sparsity is not None:
                _check_counts(pruner, X, y)
            _check_keeps_the_best(pruner, X, y)
            _check_prunes_on(pruner, fitted.mask_, X, y)


def _data(pruner: BasePruner) -> tuple[np.ndarray, np.ndarray]:
    if is_classifier(pruner):
        X, y = make_classification(
            n_samples=60, n_features=6, n_informative=4, n_classes=3, random_state=0
        )
    else:
        X, y = make_regression(n_samples=60, n_features=6, random_state=0)
        y = y / y.std()
    return X.astype(np.float32), y


def _check_no_side_effects(pruner: BasePruner, X: np.ndarray, y: np.ndarray) -> BasePruner:
    fitted = clone(pruner)
    params, data = pickle.dumps(fitted.get_params()), pickle.dumps((X, y))
    streams = _global_streams()
    fitted.fit(X, y)
    assert pickle.dumps(fitted.get_params()) == params, "fit changed the net or a parameter"
    assert pickle.dumps((X, y)) == data, "fit changed X or y"
    assert _global_streams() == streams, "fit moved a global random stream"
    return fitted


def _global_streams() -> bytes:
    return pickle.dumps((torch.get_rng_state().numpy(), np.random.get_state()))


def _check_repeats(pruner: BasePruner, fitted: BasePruner, X: np.ndarray, y: np.ndarray) -> None:
    if isinstance(pruner.random_state, int):
        again = clone(pruner).fit(X, y)
        assert again.mask_ == fitted.mask_, "a second fit found another mask"
        for name, value in _weights(again).items():
            assert torch.equal(value, _weights(fitted)[name]), f"a second fit gave another {name}"


def _check_pickles(fitted: BasePruner, X: np.ndarray) -> None:
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(
            copied.predict(X), fitted.predict(X), err_msg="a copy predicts differently"
        )


def _check_mask_is_held(fitted: BasePruner) -> None:
    weights = _weights(fitted)
    for name, kept in fitted.mask_.items():
        assert not weights[name][~kept].any(), f"pruned entries of {name} are not exactly 0"
        assert (weights[name][kept] != 0).all(), (
            f"entries of {name} that mask_ keeps are 0: another mask was used"
        )


def _check_rounds(fitted: BasePruner) -> None:
    masks = [record["mask"] for record in fitted.rounds_]
    params = fitted.get_params(deep=False)
    may_revive = params.get("regrow") or params.get("density_schedule") == "alternating"
    for earlier, later in pairwise(masks):
        is_nested = (earlier & later) == later
        assert is_nested or may_revive, "a later round revived pruned parameters"
    assert masks[-1] == fitted.mask_, "mask_ is not the mask of the last round"


def _check_counts(pruner: SparsityPruner, X: np.ndarray, y: np.ndarray) -> None:
    rounds = Rounds.of(pruner)
    (scopes,) = pruner._parameter_constraints["scope"]
    in_units = _prunes_units(pruner)
    for scope in sorted(scopes.options - ({"erk"} if in_units else set())):
        fitted = clone(pruner).set_params(scope=scope).fit(X, y)
        for record in fitted.rounds_:
            density = rounds.density(record["round"])
            assert density is not None
            for part in _promised(record["mask"], "global" if in_units else scope):
                expected = max(1, round(density * part.n_parameters))
                # Whole units meet a number as nearly as they can.
                assert part.n_kept == expected or (in_units and part.n_kept < expected), (
                    f"round {record['round']} keeps {part.n_kept} of {part.n_parameters} "
                    f"parameters with scope={scope!r}, not {expected}"
                )


def _prunes_units(pruner: BasePruner) -> bool:
    return pruner.get_params(deep=False).get("granularity") == "unit"


def _promised(mask: TicketMask, scope: Scope) -> Iterator[TicketMask]:
    """Yield the parts of a mask that must each meet the density."""
    if scope != "layer":
        yield mask
        return
    for names in mask.allocation("layer").groups:
        yield TicketMask({name: mask[name] for name in names})


def _check_keeps_the_best(pruner: SparsityPruner, X: np.ndarray, y: np.ndarray) -> None:
    """Check that vanishing initial weights are not preferred to ordinary ones."""
    n_outputs = len(np.unique(y)) if is_classifier(pruner) else 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = MLP(X.shape[1], n_outputs, hidden=(16, 16))
        vanishing = {}
        for name, weight in prunable_parameters(module).items():
            vanishing[name] = torch.rand(weight.shape) < 0.5
            weight.data[vanishing[name]] *= 1e-6
    probe = clone(pruner).set_params(
        estimator=_with_module(pruner.estimator, ModuleTemplate(module)),
        sparsity=0.75,
        prune_bias=False,
        train_ticket=False,
    )
    if isinstance(pruner, ScoringPruner):
        # Training would change vanishing weights. Learned masks, however, need training.
        probe.set_params(round_epochs=0, rewind_epoch=0)
    mask = probe.fit(X, y).mask_
    share = (mask & TicketMask(vanishing)).n_kept / mask.n_kept
    assert share < 0.75, f"{share:.0%} of the kept weights are vanishing ones, chance is 50%"


def _check_prunes_on(
    pruner: SparsityPruner, found: TicketMask, X: np.ndarray, y: np.ndarray
) -> None:
    """Check that a search from an initial mask keeps a part of it, and as much as promised."""
    density = 0.5 if pruner.sparsity is None else 1 - pruner.sparsity
    anything = {name: np.zeros(kept.shape) for name, kept in found.items()}
    initial = (found | ~found).shrink(anything, density**0.5, pruner.scope, rng=0)
    fitted = clone(pruner).set_params(initial_mask=initial).fit(X, y)
    assert (fitted.mask_ & initial) == fitted.mask_, "parameters outside of initial_mask are kept"
    _check_mask_is_held(fitted)
    if pruner.sparsity is not None:
        expected = initial.counts(density, pruner.scope)
        groups = initial.allocation(pruner.scope).groups
        kept = [sum(int(fitted.mask_[name].sum()) for name in names) for names in groups]
        is_met = kept == expected or (_prunes_units(pruner) and sum(kept) < sum(expected))
        assert is_met, f"from an initial_mask, {kept} are kept per group, not {expected}"


def _with_module(estimator: NeuralNet, factory: Callable[..., nn.Module]) -> NeuralNet:
    """Return the same net with another module."""
    net = clone(estimator)
    for name in [name for name in vars(net) if name.startswith("module__")]:
        delattr(net, name)
    return net.set_params(module=factory)


def _weights(fitted: BasePruner) -> dict[str, torch.Tensor]:
    return {n: p.detach() for n, p in plain_module(fitted.estimator_.module_).named_parameters()}
