"""Methods of fitted pruners: predict, transform, and evaluate the untrained ticket."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, is_classifier
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch import NeuralNet

from sklearn_tickets._network import hidden_features, infer
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._targets import class_codes


def _wraps_classifier(pruner: "FittedTicketMixin") -> bool:
    return is_classifier(pruner.estimator)


class FittedTicketMixin(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin of the methods that use the fitted ticket."""

    estimator: NeuralNet
    estimator_: NeuralNet
    mask_: TicketMask
    initial_state_: dict[str, torch.Tensor]
    strong_statistics_: dict[str, torch.Tensor]
    output_scale_: np.ndarray
    classes_: np.ndarray

    def _check_inputs(self, X: ArrayLike) -> NDArray[np.float32]:
        check_is_fitted(self)
        return validate_data(
            self, X, dtype=np.float32, allow_nd=True, force_writeable=True, order="C", reset=False
        )

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict with the sparse network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or float64 regression outputs.
        """
        X = self._check_inputs(X)
        return self._decide(infer(self.estimator_.module_, X))

    def strong_predict(self, X: ArrayLike, *, rescale: bool = True) -> NDArray[Any]:
        """Predict with the strong ticket: the mask on the initial weights, untrained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        rescale : bool, default=True
            Whether to multiply the outputs by `output_scale_`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or float64 regression outputs.
        """
        outputs = self.strong_output(X)
        return self._decide(outputs * self.output_scale_ if rescale else outputs)

    def strong_output(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the outputs of the strong ticket, without rescaling.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        outputs : float64 ndarray of shape (n_samples, n_outputs)
            Logits or regression outputs.
        """
        X = self._check_inputs(X)
        state = self.mask_.apply(self.initial_state_) | self.strong_statistics_
        return infer(self.estimator_.module_, X, state)

    def _decide(self, outputs: NDArray[np.float64]) -> NDArray[Any]:
        """Turn outputs into predictions."""
        if not is_classifier(self.estimator):
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        return self.classes_[class_codes(self.estimator, outputs)]

    @available_if(_wraps_classifier)
    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict class probabilities with the sparse network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        probabilities : float64 ndarray of shape (n_samples, n_classes)
            The softmax or sigmoid of the outputs, as the net's criterion implies.

        Raises
        ------
        ValueError
            If neither the net's criterion nor its ``predict_nonlinearity`` implies any.
        """
        X = self._check_inputs(X)
        outputs = torch.from_numpy(infer(self.estimator_.module_, X))
        if outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        probabilities = self.estimator_._get_predict_nonlinearity()(outputs).numpy()
        if not np.allclose(probabilities.sum(axis=1), 1) or (probabilities < 0).any():
            raise ValueError(
                f"estimator's criterion {type(self.estimator_.criterion_).__name__} does not imply "
                "how to turn outputs into probabilities; set predict_nonlinearity of estimator."
            )
        return probabilities

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of a classifier or the R2 score of a regressor.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
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
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        hidden : float32 ndarray of shape (n_samples, n_hidden)
            The flattened inputs of the last executed layer that owns a prunable weight.
        """
        X = self._check_inputs(X)
        return hidden_features(self.estimator_.module_, X, self.mask_)
