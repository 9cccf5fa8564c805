"""Methods of fitted pruners: predict, transform, and evaluate the untrained ticket.

A ticket at its initial weights is read through `output_scale_` by every method that predicts.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_tickets._network import Rows, evaluating, hidden_features, infer, plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._inputs import InputsMixin
from sklearn_tickets.pruners.base._readings import (
    class_codes,
    class_log_probabilities,
    class_probabilities,
    decision_values,
)
from sklearn_tickets.pruners.base._strong_ticket import Estimates, StrongReading


def _wraps_classifier(pruner: "FittedTicketMixin") -> bool:
    return is_classifier(pruner.estimator)


class FittedTicketMixin(InputsMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of the methods that use the fitted ticket."""

    mask_: TicketMask
    input_support_: NDArray[np.bool_]
    initial_state_: dict[str, torch.Tensor]
    classes_: np.ndarray
    _strong_reading: StrongReading

    @property
    def strong_statistics_(self) -> dict[str, torch.Tensor]:
        """Running statistics of batch normalization in the strong ticket; empty without any."""
        return self._read_strong().statistics

    @property
    def output_scale_(self) -> NDArray[np.float64]:
        """Positive factors on the outputs of the strong ticket, of shape (n_outputs,)."""
        return self._read_strong().scale

    @property
    def temperature_(self) -> float:
        """Divisor of the rescaled logits of the strong ticket."""
        return self._read_strong().temperature

    def _read_strong(self) -> Estimates:
        check_is_fitted(self)
        return self._strong_reading.estimates()

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

        Notes
        -----
        Networks of fewer than a million parameters compute in float64, so that no row's outputs
        depend on the rows beside it. Larger ones compute in float32, as they were trained: several
        times as fast for convolutions, with rounding errors that depend on the batch.
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
        mask, initial = self.mask_, self.initial_state_
        module = plain_module(self.estimator_.module_)
        # Not while another thread evaluates the network with other weights.
        with evaluating(module):
            parameters = dict(module.named_parameters())
            # One after the other, the smallest first: the first one usually tells.
            return all(
                torch.equal(
                    parameters[name].cpu(),
                    initial[name].masked_fill(~mask[name], 0) if name in mask else initial[name],
                )
                for name in sorted(parameters, key=lambda name: parameters[name].numel())
            )

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
        return decision_values(self.estimator, self._outputs(X))

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
        return class_probabilities(self.estimator_, outputs)

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
        return class_log_probabilities(self.estimator_, outputs)

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
