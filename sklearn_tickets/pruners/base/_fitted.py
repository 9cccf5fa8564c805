"""What a fitted pruner does with its ticket: predict, transform, and read it untrained."""

import numpy as np
import torch
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
    """Methods of an estimator that has fitted these attributes."""

    estimator: NeuralNet
    estimator_: NeuralNet
    mask_: TicketMask
    initial_state_: dict[str, torch.Tensor]
    strong_statistics_: dict[str, torch.Tensor]
    output_scale_: np.ndarray
    classes_: np.ndarray

    def _check_inputs(self, X):
        check_is_fitted(self)
        return validate_data(
            self, X, dtype=np.float32, allow_nd=True, force_writeable=True, reset=False
        )

    def predict(self, X):
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

    def strong_predict(self, X, *, rescale=True):
        """Predict with the strong ticket: the mask on the initial weights, untrained.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        rescale : bool, default=True
            Whether to read the outputs through `output_scale_`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or float64 regression outputs.
        """
        outputs = self.strong_output(X)
        return self._decide(outputs * self.output_scale_ if rescale else outputs)

    def strong_output(self, X):
        """Compute the outputs of the mask on the initial weights, not rescaled.

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

    def _decide(self, outputs):
        """Turn outputs into predictions."""
        if not is_classifier(self.estimator):
            return outputs[:, 0] if outputs.shape[1] == 1 else outputs
        return self.classes_[class_codes(self.estimator, outputs)]

    @available_if(_wraps_classifier)
    def predict_proba(self, X):
        """Predict class probabilities with the sparse network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.

        Returns
        -------
        probabilities : float64 ndarray of shape (n_samples, n_classes)
            As the net's criterion implies: softmax or sigmoid of the outputs.

        Raises
        ------
        ValueError
            If the net's criterion implies none, and its ``predict_nonlinearity`` neither.
        """
        X = self._check_inputs(X)
        outputs = torch.from_numpy(infer(self.estimator_.module_, X))
        if outputs.shape[1] == 1:
            outputs = outputs[:, 0]
        probabilities = self.estimator_._get_predict_nonlinearity()(outputs).numpy()
        if not np.allclose(probabilities.sum(axis=1), 1) or (probabilities < 0).any():
            raise ValueError(
                f"estimator's criterion {type(self.estimator_.criterion_).__name__} does not say "
                "how to make probabilities of its outputs; pass the net predict_nonlinearity=."
            )
        return probabilities

    def score(self, X, y, sample_weight=None):
        """Score the sparse network: accuracy for classifiers, R2 for regressors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The truth.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        score : float
            Higher is better.
        """
        metric = accuracy_score if is_classifier(self.estimator) else r2_score
        return metric(y, self.predict(X), sample_weight=sample_weight)

    def transform(self, X):
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
