"""What an export is made from: a module, or the network of a fitted pruner."""

from typing import Any, NamedTuple

from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from sklearn_tickets._estimators import find_pruner
from sklearn_tickets._network import evaluation_copy, example_inputs, plain_module


class Source(NamedTuple):
    """A network to export, and inputs to compare the result with it on.

    Parameters
    ----------
    module : torch.nn.Module
        The network itself.
    original : torch.nn.Module
        A copy of it in evaluation mode.
    rows : Tensor of shape (n_samples, ...)
        Some of its inputs.
    has_matrices : bool
        Whether its inputs are known to have two axes.
    pruner : fitted pruner or None
        The pruner that the network is of.
    """

    module: nn.Module
    original: nn.Module
    rows: Tensor
    has_matrices: bool
    pruner: Any

    @property
    def name(self) -> str:
        """What to call the network in error messages."""
        return f"network ({type(self.original).__name__})"

    @classmethod
    def of(cls, network: Any, X: Any) -> "Source":
        """Find the network in a module, a fitted pruner, or a pipeline or search with a pruner."""
        pruner, shape = None, None
        if isinstance(network, nn.Module):
            module = plain_module(network)
        else:
            found = find_pruner(network, "network")
            for each in found.around:
                if not (
                    isinstance(each, Pipeline | FrozenEstimator) or hasattr(each, "best_estimator_")
                ):
                    raise TypeError(
                        f"network must not be inside a {type(each).__name__}, which may change "
                        "predictions: exports compute the outputs of the network. Pass the fitted "
                        "pruner itself."
                    )
            pruner, X = found.pruner, None if X is None else found.inputs(X)
            module, shape = plain_module(pruner.estimator_.module_), pruner.input_support_.shape
            if pruner._is_untrained():
                module = evaluation_copy(module, "network")
                module.load_state_dict(pruner.strong_statistics_, strict=False)
        original = evaluation_copy(module, "network")
        rows = example_inputs(original, X, "network", shape)
        is_known = X is not None or shape is not None
        return cls(module, original, rows, is_known and rows.ndim == 2, pruner)
