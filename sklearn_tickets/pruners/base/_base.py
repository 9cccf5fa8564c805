"""`BasePruner`: the public interface of pruners; an algorithm adds its search.

A fit consists of rounds. Each round trains the masked network for some epochs, chooses the
parameters to keep, and rewinds them. Single-shot and multi-shot pruning, iterative
magnitude pruning, weight and learning-rate rewinding are settings of these rounds.
"""

import copy
import time
import warnings
from collections.abc import Generator
from contextlib import closing
from dataclasses import field, replace
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import Tags, get_tags
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor

from sklearn_tickets._network import hidden_features
from sklearn_tickets._random import independent_rng, seeded
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.pruners.base._fitted import FittedTicketMixin
from sklearn_tickets.pruners.base._gradients import check_loss
from sklearn_tickets.pruners.base._labels import encode_validation_data, score_labels
from sklearn_tickets.pruners.base._net import check_module, make_net
from sklearn_tickets.pruners.base._parameters import Epochs, ParameterFields, RandomState
from sklearn_tickets.pruners.base._rounds import Rounds, Run
from sklearn_tickets.pruners.base._sample_weight import check_sample_weight, encode_sample_weight
from sklearn_tickets.pruners.base._strong_ticket import StrongReading
from sklearn_tickets.pruners.base._targets import encode_targets, is_multilabel
from sklearn_tickets.training import Training, TrainingState, hold_mask, last_train_loss

# What a search returns: a mask, or a generator that yields trainings and returns a mask.
Search: TypeAlias = TicketMask | Generator[Training, None, TicketMask]


class BasePruner(
    ParameterFields, FittedTicketMixin, CallbackSupportMixin, MetaEstimatorMixin, BaseEstimator
):
    """Base class of pruners. Subclasses implement ``_search`` and ``_initial_mask``.

    Parameters
    ----------
    estimator : NeuralNetClassifier, NeuralNetBinaryClassifier or NeuralNetRegressor
        An unfitted skorch net around a module *class* or factory whose modules return
        logits or regression outputs. `fit` clones it and never modifies it. The module's
        parameters ``n_features``, ``n_outputs``, ``n_channels`` and ``image_size`` are
        inferred from the data if they have no default.
    final_epochs : int or None, default=None
        Number of epochs to train the ticket; None uses the net's ``max_epochs``.
    train_ticket : bool, default=True
        Whether to train the ticket. If False, `estimator_` holds the ticket with rewound
        weights. If these are the initial ones, predictions and scores use `output_scale_`.
    random_state : int, RandomState instance or None, default=None
        Controls the randomness of the initial weights, the batches and the search. None takes
        a new seed in each fit, whatever ``numpy.random.seed`` and ``torch.manual_seed`` were
        given: the global random streams are neither read nor changed.

    Attributes
    ----------
    mask_ : TicketMask
        The mask of the kept parameters.
    estimator_ : skorch net
        The sparse network, whose pruned weights are exactly 0. Its ``partial_fit`` holds the
        mask; its ``fit`` starts a dense network, and a classifier's ``predict`` returns
        class numbers rather than labels.
    initial_state_ : dict of str to Tensor
        Weights and buffers at initialization, on the CPU.
    strong_statistics_ : dict of str to Tensor
        Running statistics of batch normalization in the *strong* ticket, estimated on the
        training data, with networks of a million parameters and more on 128 rows that
        represent all; empty without such layers.
    output_scale_ : ndarray of shape (n_outputs,)
        Positive factors on the outputs of the *strong* ticket (the mask on the initial
        weights), estimated when first asked for, on at most 10,000 rows of the training data,
        with networks of a million parameters and more on 2,000. The factor of a label, in
        multilabel classification, changes only its probability.
    temperature_ : float
        Divisor of the rescaled logits of the *strong* ticket, with which its probabilities
        have the lowest cross entropy on the same rows; 1 for regressors and labels.
    rounds_ : list of dict
        One per round: ``round, density, mask, n_kept, n_effective, collapsed,
        train_loss, history, seconds``, and ``state`` with `store_rounds`. ``history`` has
        skorch's row of each epoch of the round's training, without its ``batches``; that of the
        ticket's own training is ``estimator_.history``.
    input_support_ : bool ndarray of shape X.shape[1:]
        True for the inputs that the ticket uses.
    feature_importances_ : float64 ndarray of shape X.shape[1:]
        The share of each input in the flow of the kept weights' magnitudes; the sum is 1,
        or 0 if no path is left.
    classes_ : ndarray of shape (n_classes,)
        Class labels, or the numbers of the labels in an indicator matrix; classifiers only.
    n_features_in_ : int
        Number of features (channels, for images) seen during fit.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if the columns of X have string names.

    See Also
    --------
    sklearn_tickets.utils.check_pruner : Check a custom pruner.
    """

    _trailing: ClassVar[tuple[str, ...]] = ("final_epochs", "train_ticket", "random_state")

    estimator: NeuralNetClassifier | NeuralNetBinaryClassifier | NeuralNetRegressor = field(
        kw_only=False
    )
    final_epochs: Epochs = None
    train_ticket: bool = True
    random_state: RandomState = None

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = not is_classifier(self.estimator)
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = is_multilabel(self.estimator)
        tags.transformer_tags.preserves_dtype = ["float32"]
        # A strong ticket is only as good as the host network is wide.
        for kind_tags in (tags.classifier_tags, tags.regressor_tags):
            if kind_tags is not None and not self.train_ticket:
                kind_tags.poor_score = True
        return tags

    # The algorithm ----------------------------------------------------------------

    def _starting_point(self, net: NeuralNet) -> TrainingState:
        """Return the state that holds the ticket's initial weights."""
        return TrainingState.of(net)

    def _initial_mask(self, net: NeuralNet) -> TicketMask:
        """Return the mask before the first round."""
        raise NotImplementedError(f"{type(self).__name__} does not implement _initial_mask.")

    def _check_network(self, run: Run) -> None:
        """Refuse a network that the algorithm does not apply to, before it is trained."""

    def _round_training(self, run: Run, density: Any) -> Training | None:
        """Return the training that precedes the search of a round, if any."""
        n_epochs = run.rounds.n_epochs(run.rounds.round_epochs)
        return run.training(until=n_epochs) if n_epochs else None

    def _search(self, run: Run, density: Any) -> Search:
        """Choose which parameters of ``run.mask`` to keep, at a density unless it is None.

        A search may train ``run.net``, which is rewound afterwards: it is then a generator
        that yields its trainings, each to be run before it resumes, and returns the mask.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement _search.")

    def _final_epochs(self, run: Run) -> int:
        """Return for how many epochs the ticket is trained."""
        return run.rounds.n_epochs(self.final_epochs)

    # Fitting ----------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    @torch.inference_mode(False)  # Training takes gradients, also where a caller turned them off.
    def fit(
        self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Find a ticket and train it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features) or (n_samples, ...)
            The inputs; converted to float32. Sparse matrices are made dense batch by batch.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, an indicator matrix of several labels, or regression targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, and in all that is estimated on the data; None
            for equal weights. Rows of weight 0 are left out. A loss that is a mean over rows
            becomes the weighted mean, whatever the sum of the weights. In full batches, a
            weight of 2 equals a repeated row; smaller batches hold other rows then.

        Returns
        -------
        self : object
            The fitted pruner.

        Raises
        ------
        ValueError
            If data, parameters and network do not match, or training diverges.

        Warns
        -----
        LayerCollapseWarning
            If no kept weight lies on a path from an input to an output.
        """
        # If a training fails, closing the generator restores the random streams.
        with closing(self._trainings(X, y, sample_weight)) as trainings:
            for training in trainings:
                training.run()
        return self

    def _trainings(self, X: Any, y: Any, sample_weight: Any) -> Generator[Training, None, None]:
        """Fit the pruner, and yield each training for the caller to run."""
        given, (X, y, classes) = X, self._check_data(X, y)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        task_data = {"estimator": self, "X": given, "y": y, "metadata": metadata}
        if sample_weight is not None:
            X, y, sample_weight = check_sample_weight(X, y, classes, sample_weight)
        rounds = Rounds.of(self)
        rounds.check()
        net = make_net(self.estimator, X, y, classes)
        # skorch moves nothing for None, so data stay on the CPU, and modules with them.
        net.set_params(device=net.device or "cpu")
        rng = independent_rng(self.random_state)
        with seeded(rng.randint(np.iinfo(np.int32).max), net.device):
            net.initialize()
            check_module(net, X, y, classes)
            targets = encode_targets(net, X, y, classes)
            encode_validation_data(net, classes)
            if classes is not None:
                score_labels(net, X, targets, classes)
            check_loss(net, X, targets)
            if sample_weight is not None:
                sample_weight = encode_sample_weight(net, X, targets, sample_weight)
            start = self._starting_point(net)
            mask = self._initial_mask(net)
            rounds = replace(rounds, initial_density=mask.density)
            hold_mask(net, mask)
            run = Run(
                rounds, net, X, targets, sample_weight, classes, rng, mask, start, rewind_to=start
            )
            self._check_network(run)
            context = self._init_callback_context(max_subtasks=rounds.n_rounds)
            context.call_on_fit_task_begin(**task_data)
            for t in range(1, rounds.n_rounds + 1):
                task = context.subcontext("round")
                task.call_on_fit_task_begin(**task_data)
                run.records.append((yield from self._round(t, run)))
                if task.call_on_fit_task_end(
                    **task_data,
                    reconstruction_attributes=lambda: copy.deepcopy(self._fitted_attributes(run)),
                ):
                    break
            if self.train_ticket:
                yield run.training(until=self._final_epochs(run))
        if run.records[-1]["collapsed"]:
            remedies = _remedies_of_collapse(self.get_params(deep=False))
            warnings.warn(
                f"{type(self).__name__} left no path from inputs to outputs: the sparse network "
                f"is constant. Its mask keeps {run.mask.n_kept:,} of {run.mask.n_parameters:,} "
                f"parameters. Try {' or '.join(remedies)}.",
                LayerCollapseWarning,
                stacklevel=4,
            )
        for name, value in self._fitted_attributes(run).items():
            setattr(self, name, value)
        context.call_on_fit_task_end(**task_data, reconstruction_attributes=lambda: vars(self))

    def _round(self, t: int, run: Run) -> Generator[Training, None, dict[str, Any]]:
        """Train, search and rewind; yield the trainings and return a record."""
        began = time.perf_counter()
        net, rounds, density = run.net, run.rounds, run.rounds.density(t)
        training = self._round_training(run, density)
        if training is not None:
            yield training
            if t == 1 and rounds.rewind_epoch:
                run.rewind_to = _passed(training)
        found = self._search(run, density)
        run.mask = (yield from found) if isinstance(found, Generator) else found
        train_loss = last_train_loss(net)
        history = [
            {name: value for name, value in row.items() if name != "batches"} for row in net.history
        ]
        stored = {"state": TrainingState.of(net).module} if rounds.store_rounds else {}
        run.rewind_to.restore(net, keep_weights=rounds.rewind_epoch is None)
        hold_mask(net, run.mask)
        effective, run.input_support = run.mask.trace(net.module_, run.X)
        # Without weights on a path, inputs may still reach outputs past the mask.
        has_paths = any(kept.any() for kept in effective.values() if kept.ndim > 1)
        return {
            "round": t,
            "density": run.mask.density,
            "mask": run.mask,
            "n_kept": run.mask.n_kept,
            "n_effective": effective.n_kept,
            "collapsed": not (has_paths or run.input_support.any()),
            "train_loss": train_loss,
            "history": history,
            "seconds": time.perf_counter() - began,
        } | stored

    def _fitted_attributes(self, run: Run) -> dict[str, Any]:
        """Return the fitted attributes by name."""
        net, initial = run.net, run.start.module
        # Tied parameters are one tensor, and stay one.
        on_cpu = {id(value): value.cpu() for value in initial.values()}
        initial = {name: on_cpu[id(value)] for name, value in initial.items()}
        of_classifiers = {} if run.classes is None else {"classes_": run.classes}
        return of_classifiers | {
            "mask_": run.mask,
            "estimator_": net,
            "initial_state_": initial,
            "_strong_reading": StrongReading(
                net, run.mask, initial, run.X, run.y, run.sample_weight, run.scale
            ),
            "rounds_": run.records,
            "input_support_": run.input_support,
            "_n_features_out": hidden_features(net.module_, run.X[:1], run.mask).shape[1],
        }


def _remedies_of_collapse(params: dict[str, Any]) -> list[str]:
    """List what a pruner with these parameters can do against a collapse."""
    remedies = {
        "a mask that connects them": "mask" in params,
        "a lower sparsity": params.get("sparsity") is not None,
        "more rounds": "n_rounds" in params,
        "scope='layer'": params.get("scope", "layer") != "layer",
        "a weaker penalty": params.get("penalty") is not None,
    }
    return [remedy for remedy, applies in remedies.items() if applies]


def _passed(training: Training) -> TrainingState:
    """Return the state at the epoch to rewind to, unless training stopped before it."""
    if training.passed is None:
        raise ValueError(
            f"rewind_epoch={training.snapshot} is beyond the {len(training.net.history)} epochs "
            "after which a callback of estimator stopped the training; rewind to an earlier epoch."
        )
    return training.passed
