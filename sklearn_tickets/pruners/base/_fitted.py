"""Methods of fitted pruners: predict, transform, and evaluate the untrained ticket.

A ticket at its initial weights is read through `output_scale_` by every method that predicts.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    check_array,
    check_is_fitted,
)
from skorch import NeuralNet

from sklearn_tickets._network import (
    LinearFlow,
    Rows,
    SparseRows,
    hidden_features,
    infer,
    plain_module,
    positive_flow,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._readings import (
    class_codes,
    decisions,
    log_probabilities,
    probabilities,
)


def _wraps_classifier(pruner: "FittedTicketMixin") -> bool:
    return is_classifier(pruner.estimator)


class FittedTicketMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of the methods that use the fitted ticket."""

    estimator: NeuralNet
    estimator_: NeuralNet
    mask_: TicketMask
    initial_state_: dict[str, torch.Tensor]
    input_support_: NDArray[np.bool_]
    strong_statistics_: dict[str, torch.Tensor]
    output_scale_: np.ndarray
    temperature_: float
    classes_: np.ndarray

    def _check_inputs(self, X: ArrayLike) -> Any:
        """Validate X; return an array or SparseRows, of float32."""
        check_is_fitted(self)
        _check_feature_names(self, X, reset=False)
        inputs = check_array(
            X,
            dtype=np.float32,
            allow_nd=True,
            accept_sparse="csr",
            force_writeable=True,
            order="C",
            estimator=self,
            input_name="X",
        )
        shape = self.input_support_.shape
        if inputs.ndim != len(shape) + 1:
            raise ValueError(
                f"X has rows of shape {inputs.shape[1:]}, but X had rows of shape {shape} in fit: "
                f"pass X.reshape(-1, {', '.join(map(str, shape))})."
            )
        _check_n_features(self, inputs, reset=False)
        return SparseRows(inputs) if issparse(inputs) else inputs

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict with the sparse network.

        If its kept weights are still the initial ones, this is `strong_predict`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, an int64 indicator matrix of labels, or float64 regression outputs.
        """
        return self._decide(self._outputs(X))

    def strong_predict(self, X: ArrayLike, *, rescale: bool = True) -> NDArray[Any]:
        """Predict with the strong ticket: the mask on the initial weights, untrained.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        rescale : bool, default=True
            Whether to multiply the outputs by `output_scale_`, and to divide them by
            `temperature_`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, an int64 indicator matrix of labels, or float64 regression outputs.
        """
        outputs = self.strong_output(X)
        return self._decide(self._rescale(outputs) if rescale else outputs)

    def strong_output(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the outputs of the strong ticket, without rescaling.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        outputs : float64 ndarray of shape (n_samples, n_outputs)
            Logits or regression outputs.
        """
        return self._infer_strong(self._check_inputs(X))

    def _infer_strong(self, X: Rows) -> NDArray[np.float64]:
        state = self.mask_.apply(self.initial_state_) | self.strong_statistics_
        return infer(self.estimator_.module_, X, state)

    def _outputs(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the outputs of the sparse network, those of a strong ticket rescaled."""
        rows = self._check_inputs(X)
        if self._is_untrained():
            return self._rescale(self._infer_strong(rows))
        return infer(self.estimator_.module_, rows)

    def _is_untrained(self) -> bool:
        """Whether the sparse network still is the strong ticket."""
        strong = self.mask_.apply(self.initial_state_)
        parameters = plain_module(self.estimator_.module_).named_parameters()
        return all(torch.equal(value.cpu(), strong[name]) for name, value in parameters)

    def _rescale(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return outputs * self.output_scale_ / self.temperature_

    def _decide(self, outputs: NDArray[np.float64]) -> NDArray[Any]:
        """Turn outputs into predictions."""
        if not is_classifier(self.estimator):
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        # The codes of labels are themselves, as their classes are 0, 1, ...
        return self.classes_[class_codes(self.estimator, outputs)]

    @available_if(_wraps_classifier)
    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the confidence in classes, as `predict` reads it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        decisions : float64 ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits, of which `predict` takes the largest or, of labels, those above 0. Of two
            classes, how far the logit of the second is above the first or, of a single logit,
            above that of the net's ``threshold``: `predict` takes the second above 0.
        """
        return decisions(self.estimator, self._outputs(X))

    @available_if(_wraps_classifier)
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict class probabilities with the sparse network, as `predict` reads it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        probabilities : float64 ndarray of shape (n_samples, n_classes)
            The softmax or sigmoid of the outputs, as the net's criterion implies; of labels,
            the probability of each.

        Raises
        ------
        ValueError
            If neither the net's criterion nor its ``predict_nonlinearity`` implies any.
        """
        outputs = self._outputs(X)
        return probabilities(self.estimator_, outputs)

    @available_if(_wraps_classifier)
    def predict_log_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict logarithms of class probabilities, without rounding small ones to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        logarithms : float64 ndarray of shape (n_samples, n_classes)
            The logarithms of what `predict_proba` returns, computed from the logits.

        Raises
        ------
        ValueError
            As for `predict_proba`.
        """
        outputs = self._outputs(X)
        return log_probabilities(self.estimator_, outputs)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of a classifier or the R2 score of a regressor.

        A row with several labels is accurate if all of them are right.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Sample weights.

        Returns
        -------
        score : float
            Score of the sparse network.
        """
        metric = accuracy_score if is_classifier(self.estimator) else r2_score
        return metric(y, self.predict(X), sample_weight=sample_weight)

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
            `input_support_`, or the indices into flattened rows where it is True.
        """
        check_is_fitted(self)
        return np.flatnonzero(self.input_support_) if indices else self.input_support_

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Compute the ticket's hidden representation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        hidden : float32 ndarray of shape (n_samples, n_hidden)
            The flattened inputs of the last executed layer that owns a prunable weight.
        """
        return hidden_features(self.estimator_.module_, self._check_inputs(X), self.mask_)
