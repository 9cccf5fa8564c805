"""What a pruner makes of a module of the zoo, against plain torch.

Each check compares the pruner with a computation of its own, and raises an AssertionError.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from sklearn_tickets.export import compact, to_onnx
from tests.zoo.fitting import (
    SPARSITY,
    RefusedError,
    dtype_of,
    fit,
    named_refusal,
    outputs,
    plain,
    redrawn,
    rows_of,
    train,
)

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)
LEFT_OUT = "left out"


def assert_close(actual, expected, what, tolerance=1e-4):
    """Check that two arrays are the same within rounding errors."""
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    scale = max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(actual - expected).max())
    assert difference <= tolerance * scale, f"{what}: off by {difference:.3g} of {scale:.3g}"


def moves(module, X, expected):
    """Whether outputs differ by more than rounding from the expected ones."""
    change = np.abs(outputs(module, X) - expected).max()
    return change > 1e3 * torch.finfo(dtype_of(module)).eps * max(1, np.abs(expected).max())


def fitted_module(case, pruner):
    """Make a module of the case with the fitted weights."""
    return plain(case, pruner.estimator_.module_.state_dict())


def check_training(case, pruner):
    """The ticket was trained as plain torch trains it from its initial weights."""
    if case.random:
        return LEFT_OUT
    module = plain(case, pruner.initial_state_)
    train(case, module, pruner.mask_)
    fitted = pruner.estimator_.module_.state_dict()
    for name, value in module.state_dict().items():
        what = f"{name}, trained by plain torch"
        assert_close(fitted[name].double().numpy(), value.double().numpy(), what, 1e-3)
    return None


def check_predict(case, pruner):
    """Predictions are those of the module of the fitted weights, for all rows and for one."""
    X, y = case.data()
    module = fitted_module(case, pruner)
    expected = rows_of(outputs(module, X), len(X))
    tolerance = max(1e-4, 10 * torch.finfo(dtype_of(module)).eps)
    predicted = pruner.predict(X)
    single = np.concatenate([pruner.predict(X[i : i + 1]) for i in range(3)])
    assert predicted.shape == y.shape, f"predict returns {predicted.shape}, y is {y.shape}"
    if case.y.startswith("number"):
        assert_close(predicted.reshape(expected.shape), expected, "predict", tolerance)
        assert_close(single, predicted[:3], "predict of single rows", tolerance)
        return
    logits = np.hstack([-expected, expected]) / 2 if case.y == "binary" else expected
    chosen = logits[np.arange(len(X)), np.searchsorted(np.unique(y), predicted)]
    assert_close(chosen, logits.max(axis=1), "logits of the predicted classes", tolerance)
    assert np.array_equal(single, predicted[:3]), "single rows are predicted otherwise"
    probabilities = torch.tensor(logits).softmax(dim=1).numpy()
    assert_close(pruner.predict_proba(X), probabilities, "predict_proba", tolerance)


def check_zeros(case, pruner):
    """As many weights are kept as asked for; the others are 0 under all their names."""
    module, mask = pruner.estimator_.module_, pruner.mask_
    norms = {name for name, layer in module.named_modules() if isinstance(layer, NORMS)}
    weights = {
        name: weight
        for name, weight in module.named_parameters()
        if weight.ndim > 1 and name.rpartition(".")[0] not in norms
    }
    assert set(mask) == set(weights), f"the mask is wrong about {set(mask) ^ set(weights)}"
    n_weights = sum(weight.numel() for weight in weights.values())
    n_kept = sum(int(kept.sum()) for kept in mask.values())
    assert n_kept == max(1, round((1 - SPARSITY) * n_weights)), f"{n_kept} of {n_weights} kept"
    held = module.state_dict(keep_vars=True)
    for place, state in {
        "estimator_": held,
        "mask_.apply(initial_state_)": mask.apply(pruner.initial_state_),
    }.items():
        for name, weight in weights.items():
            for alias in [alias for alias, value in held.items() if value is weight]:
                revived = int(state[alias].detach()[~mask[name]].count_nonzero())
                assert not revived, f"{revived} pruned entries of {alias} in {place} are not 0"


def check_ineffective(case, pruner):
    """What is called ineffective changes no outputs, at random weights without biases."""
    mask, X = pruner.mask_, case.draw(seed=1)
    effective = mask.effective(pruner.estimator_.module_, X)
    assert pruner.rounds_[-1]["n_effective"] == effective.n_kept, "another number in rounds_"
    assert all((kept <= mask[name]).all() for name, kept in effective.items()), "has pruned entries"
    if case.constants:
        return LEFT_OUT
    for seed in range(3):
        module = redrawn(case, pruner, seed)
        expected, parameters = outputs(module, X), dict(module.named_parameters())
        for name, kept in effective.items():
            idle, values = mask[name] & ~kept, parameters[name].data
            parameters[name].data = values + idle * torch.randn(values.shape, dtype=values.dtype)
            assert not moves(module, X, expected), f"{int(idle.sum())} entries of {name} matter"
            parameters[name].data = values
    return None


def check_effective(case, pruner):
    """Every effective weight and every input of the support has a gradient at some weights."""
    if not case.exact:
        return LEFT_OUT
    X = case.draw(seed=1)
    idle = dict(pruner.mask_.effective(pruner.estimator_.module_, X))
    idle["the inputs"] = torch.tensor(pruner.input_support_)
    for seed in range(20):
        module = redrawn(case, pruner, seed)
        inputs = torch.tensor(X, dtype=dtype_of(module), requires_grad=True)
        leaves = dict(module.named_parameters()) | {"the inputs": inputs}
        result = module(inputs.clone())
        total = (result * torch.randn(result.shape)).sum()
        gradients = torch.autograd.grad(
            total, [leaves[name] for name in idle], materialize_grads=True, allow_unused=True
        )
        for name, gradient in zip(idle, gradients, strict=True):
            is_zero = (gradient == 0).all(dim=0) if name == "the inputs" else gradient == 0
            idle[name] = idle[name] & is_zero
        if not any(entries.any() for entries in idle.values()):
            return None
    counts = {name: int(entries.sum()) for name, entries in idle.items() if entries.any()}
    raise AssertionError(f"of the effective entries these do not matter: {counts}")


def check_support(case, pruner):
    """Inputs outside the support change no outputs."""
    X, others, support = case.draw(seed=1), case.draw(seed=2), pruner.input_support_
    assert support.shape == X.shape[1:], f"input_support_ has shape {support.shape}"
    modules = [fitted_module(case, pruner), *(redrawn(case, pruner, seed) for seed in range(3))]
    for module in modules:
        moved = moves(module, np.where(support, X, others), outputs(module, X))
        assert not moved, f"outputs change with the {int((~support).sum())} inputs outside"


def check_collapse(case, pruner):
    """A collapsed network is constant; where no operation is unusual, no other one is."""
    X, others = case.draw(seed=1), case.draw(seed=2)
    modules = [fitted_module(case, pruner), *(redrawn(case, pruner, seed) for seed in range(5))]
    varies = [moves(module, others, outputs(module, X)) for module in modules]
    if pruner.rounds_[-1]["collapsed"]:
        assert not any(varies), "called collapsed, but not constant"
    elif case.exact:
        assert any(varies), "constant, but not called collapsed"


def check_compact(case, pruner):
    """The compact network has the same outputs for many rows and for one, or is refused."""
    X, _ = case.data()
    module = fitted_module(case, pruner)
    try:
        with warnings.catch_warnings():
            # Of layers that it cannot reduce, and of parameters that it has to add.
            warnings.filterwarnings("ignore", "compact kept|The compact network has")
            small = compact(pruner)
    except ValueError as error:
        raise named_refusal(case, error) from error
    for rows in (X, X[:1]):
        assert_close(outputs(small, rows), outputs(module, rows), f"{len(rows)} rows")


def check_onnx(case, pruner):
    """ONNX Runtime computes the same outputs, or the network is refused."""
    import onnxruntime

    X, _ = case.data()
    module = fitted_module(case, pruner)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter warns of its own workings
        path = Path(folder, "network.onnx")
        try:
            to_onnx(pruner, path)
        except ValueError as error:
            raise named_refusal(case, error) from error
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for rows in (X, X[:1]):
        (actual,) = session.run(None, {"X": rows})
        expected = rows_of(outputs(module, rows), len(rows))
        assert_close(rows_of(actual, len(rows)), expected, f"{len(rows)} rows")


CHECKS = {
    "training": check_training,
    "predict": check_predict,
    "zeros": check_zeros,
    "ineffective": check_ineffective,
    "effective": check_effective,
    "support": check_support,
    "collapse": check_collapse,
    "compact": check_compact,
    "onnx": check_onnx,
}


def examine(case, kind, checks=tuple(CHECKS)):
    """Fit a pruner and run checks.

    Parameters
    ----------
    case : Case
        A case of the zoo.
    kind : str
        A key of `PRUNERS`.
    checks : iterable of str
        Keys of `CHECKS`.

    Returns
    -------
    found : dict of str to str
        For "fit" and, unless that is refused, each check: "equal", "refused", "left out", or the
        fault. It is a fault to refuse what the case does not list.
    """
    found: dict[str, str] = {}

    def outcome(what, function, *args):
        try:
            return function(*args)
        except RefusedError as refusal:
            listed = case.mistake or case.refuses & {what, kind}
            found[what] = "refused" if listed else f"refused: {refusal}"
        except AssertionError as error:
            found[what] = str(error)
        except Exception as error:
            found[what] = f"{type(error).__name__}: {error}"

    pruner = outcome("fit", fit, case, kind)
    if "fit" in found:
        return found
    found["fit"] = "equal"
    for name in checks:
        result = outcome(name, CHECKS[name], case, pruner)
        found.setdefault(name, result or "equal")
    return found


def faults(found):
    """Keep the faults of what `examine` found."""
    return {k: v for k, v in found.items() if v not in ("equal", "refused", LEFT_OUT)}
