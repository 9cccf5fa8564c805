"""Inputs of a pruner: how they are validated, and which of them its ticket uses."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    check_array,
    check_is_fitted,
    validate_data,
)
from skorch import NeuralNet

from sklearn_tickets._network import LinearFlow, SparseRows, plain_module, positive_flow
from sklearn_tickets.pruners.base._targets import check_classes

# How arrays and sparse matrices are read, in `fit` and afterwards.
_READ: dict[str, Any] = {
    "dtype": np.float32,
    "allow_nd": True,
    "accept_sparse": "csr",
    "force_writeable": True,
    "order": "C",
}


class InputsMixin:
    """Mixin of the methods that concern the inputs, and not what is predicted from them."""

    estimator: NeuralNet
    estimator_: NeuralNet
    input_support_: NDArray[np.bool_]

    def _check_data(self, X: Any, y: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
        """Validate X and y; return an array or SparseRows of float32, y, and the classes."""
        is_classification = is_classifier(self.estimator)
        X, y = validate_data(
            self, X, y, **_READ, multi_output=True, y_numeric=not is_classification
        )
        X, y = SparseRows(X) if issparse(X) else X, y.toarray() if issparse(y) else y
        return X, *(check_classes(self, y) if is_classification else (y, None))

    def _check_inputs(self, X: ArrayLike) -> Any:
        """Validate X; return an array or SparseRows, of float32."""
        check_is_fitted(self)
        _check_feature_names(self, X, reset=False)
        inputs = check_array(X, **_READ, estimator=self, input_name="X")
        shape = self.input_support_.shape
        if inputs.ndim != len(shape) + 1:
            raise ValueError(
                f"X has rows of shape {inputs.shape[1:]}, but X had rows of shape {shape} in fit: "
                f"pass X.reshape(-1, {', '.join(map(str, shape))})."
            )
        _check_n_features(self, inputs, reset=False)
        return SparseRows(inputs) if issparse(inputs) else inputs

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        r"""Share of each input in the flow of weights through the sparse network.

        With :math:`|W_l|` the magnitudes of the weights of layer l, it is proportional to
        :math:`\mathbf{1}^\top |W_L| \cdots |W_1|`, the sum over the paths from the input of
        the product of magnitudes along each. Biases do not count. Maxima count as averages,
        products of values as sums, and normalization as a multiplication by :math:`|\gamma|`.
        The shares compare inputs of similar scale: standardize them.

        Returns
        -------
        importances : float64 ndarray of shape X.shape[1:]
            Their sum is 1; all are 0 if no path is left.

        Raises
        ------
        AttributeError
            If the pruner is not fitted, or paths cannot be followed through the network.

        See Also
        --------
        sklearn.inspection.permutation_importance : Works for every network.
        """
        check_is_fitted(self)
        module = plain_module(self.estimator_.module_)
        row = np.zeros((1, *self.input_support_.shape), dtype=np.float32)
        flow = positive_flow(module, {}, row, LinearFlow)
        if flow.unknown:
            raise AttributeError(
                f"{type(self).__name__} has no feature_importances_, because paths through "
                f"{flow.unknown[0]} in {type(module).__name__} cannot be followed. Use "
                "sklearn.inspection.permutation_importance instead."
            )
        inputs = flow.inputs.cpu().numpy()
        return inputs / (inputs.sum() or 1)

    def get_support(self, indices: bool = False) -> NDArray[np.bool_] | NDArray[np.intp]:
        """Get the inputs that the ticket uses, as scikit-learn's feature selectors do.

        `transform` does not select them; ``X[:, pruner.get_support()]`` does. Their names are
        ``pruner.feature_names_in_[pruner.get_support()]``, not those of `get_feature_names_out`.

        Parameters
        ----------
        indices : bool, default=False
            Whether to return indices instead of a mask.

        Returns
        -------
        support : bool ndarray of shape X.shape[1:] or int ndarray of shape (n_inputs,)
            A copy of `input_support_`, or the indices into flattened rows where it is True.
        """
        check_is_fitted(self)
        return np.flatnonzero(self.input_support_) if indices else self.input_support_.copy()
