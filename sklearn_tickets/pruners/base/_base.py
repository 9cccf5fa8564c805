"""`BasePruner`: everything public about a pruner; an algorithm adds its score.

A fit goes through rounds. Each round trains the masked network for some epochs, scores
its parameters, keeps the best-scored ones, and rewinds what is left. Single-shot and
multi-shot pruning, iterative magnitude pruning, weight and learning-rate rewinding are
settings of these rounds, the same for every algorithm.
"""

import copy
import time
import warnings
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from inspect import isgenerator
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, _fit_context, is_classifier
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import Tensor

from sklearn_tickets._network import hidden_features, infer, normalization_statistics, plain_module
from sklearn_tickets._random import independent_rng, seeded
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.pruners.base._fitted import FittedTicketMixin
from sklearn_tickets.pruners.base._net import check_module, make_net
from sklearn_tickets.pruners.base._output_scale import classification_scale, regression_scale
from sklearn_tickets.pruners.base._shared_docs import share_docs
from sklearn_tickets.training import (
    L1Penalty,
    Training,
    TrainingState,
    check_held,
    hold_mask,
    last_train_loss,
)

# Chosen on the planted circle and helix; cross entropy stands more of it than a squared error.
AUTO_L1 = {True: 3e-4, False: 1e-4}


@dataclass
class Run:
    """What the rounds of a fit have in common, and hand on."""

    net: NeuralNet
    X: np.ndarray
    y: np.ndarray
    rng: np.random.RandomState
    mask: TicketMask
    start: TrainingState
    rewind_to: TrainingState


class BasePruner(
    FittedTicketMixin,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    """Base class of pruners: an algorithm implements ``_score``, or ``_search``.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    sklearn_tickets.utils.check_pruner : Checks a pruner of your own.
    """

    _parameter_constraints: dict = {
        "estimator": [NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor],
        "sparsity": [Interval(Real, 0, 1, closed="left")],
        "scope": [StrOptions({"global", "layer"})],
        "prune_bias": ["boolean"],
        "exclude": [tuple, list],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "round_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "rewind_epoch": [Interval(Integral, 0, None, closed="left"), None],
        "final_epochs": [Interval(Integral, 0, None, closed="left"), None],
        "train_ticket": ["boolean"],
        "l1": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "connected": ["boolean"],
        "schedule": [StrOptions({"one-cycle"}), None],
        "store_rounds": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator,
        *,
        sparsity=0.9,
        scope="global",
        prune_bias=False,
        exclude=(),
        n_rounds=1,
        round_epochs=0,
        rewind_epoch=0,
        final_epochs=None,
        train_ticket=True,
        l1=0.0,
        connected=False,
        schedule=None,
        store_rounds=False,
        random_state=None,
    ):
        self.estimator = estimator
        self.sparsity = sparsity
        self.scope = scope
        self.prune_bias = prune_bias
        self.exclude = exclude
        self.n_rounds = n_rounds
        self.round_epochs = round_epochs
        self.rewind_epoch = rewind_epoch
        self.final_epochs = final_epochs
        self.train_ticket = train_ticket
        self.l1 = l1
        self.connected = connected
        self.schedule = schedule
        self.store_rounds = store_rounds
        self.random_state = random_state

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        share_docs(cls)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.target_tags.required = True
        tags.target_tags.multi_output = not is_classifier(self.estimator)
        tags.transformer_tags.preserves_dtype = ["float32"]
        # A ticket that is not trained predicts in arbitrary units.
        for kind_tags in (tags.classifier_tags, tags.regressor_tags):
            if kind_tags is not None and not self.train_ticket:
                kind_tags.poor_score = True
        return tags

    # The algorithm ----------------------------------------------------------------

    def _score(
        self, net: NeuralNet, mask: TicketMask, X: np.ndarray, y: np.ndarray
    ) -> dict[str, Tensor]:
        """Score the parameters that `mask` covers, at `net`'s weights; higher is kept."""
        raise NotImplementedError(f"{type(self).__name__} implements neither _score nor _search.")

    def _search(
        self, net, mask, density, X, y, rng
    ) -> TicketMask | Generator[Training, None, TicketMask]:
        """Choose what to keep of `mask`: by default the best-scored.

        Algorithms that learn their masks do it here. They may train `net`, which is rewound
        afterwards: as generators, they yield each training to have it done.
        """
        if density == 1:
            return mask
        scores = self._score(net, mask, X, y)
        if mask.sparsity == 0:
            lowest = min(score.min() for score in scores.values())
            if all((score == lowest).all() for score in scores.values()):
                raise ValueError(
                    f"{type(self).__name__} scores all parameters of estimator's module "
                    f"{type(plain_module(net.module_)).__name__} the same ({lowest:.3g}): there is "
                    "nothing to choose by. Look for constant weights or a softmax inside."
                )
        if self.connected:
            scores = _dead_ends_last(scores, mask.effective(net.module_, X))
        return mask.shrink(scores, density, self.scope, rng)

    # Fitting ----------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None):
        """Find a ticket, and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs; converted to float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or regression targets.

        Returns
        -------
        self : object
            The fitted pruner.

        Raises
        ------
        ValueError
            If data, parameters and network do not fit together, or training diverges.

        Warns
        -----
        LayerCollapseWarning
            If no kept weight lies on a path from an input to an output.
        """
        # Closed at once if a training fails: random streams are put back at its end.
        with closing(self._trainings(X, y)) as trainings:
            for training in trainings:
                training.run()
        return self

    def _trainings(self, X, y) -> Generator[Training, None, None]:
        """Fit, but leave each training to the caller before going on."""
        X, y, classes = self._check_data(X, y)
        self._check_epochs()
        net = make_net(self.estimator, X, y, classes)
        rng = independent_rng(self.random_state)
        with seeded(rng.randint(np.iinfo(np.int32).max), net.device):
            net.initialize()
            check_module(net, X, y, classes)
            start = self._starting_point(net)
            mask = self._full_mask(net)
            hold_mask(net, mask)
            run = Run(net, X, y, rng, mask, start, rewind_to=start)
            rounds: list[dict] = []

            def attributes():
                return self._fitted_attributes(run, rounds, classes)

            context = self._init_callback_context(max_subtasks=self.n_rounds)
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
            for t in range(1, self.n_rounds + 1):
                task = context.subcontext("round")
                task.call_on_fit_task_begin(estimator=self, X=X, y=y)
                rounds.append((yield from self._round(t, run)))
                if task.call_on_fit_task_end(
                    estimator=self,
                    X=X,
                    y=y,
                    reconstruction_attributes=lambda: copy.deepcopy(attributes()),
                ):
                    break
            if self.train_ticket:
                yield self._training(net, X, y, self._n_epochs(self.final_epochs))
                check_held(net, run.mask)
        if rounds[-1]["collapsed"]:
            warnings.warn(
                f"{type(self).__name__} left no path from inputs to outputs at sparsity="
                f"{run.mask.sparsity:.4g}: the sparse network is constant. Use a lower sparsity, "
                "more rounds or scope='layer'.",
                LayerCollapseWarning,
                stacklevel=4,
            )
        for name, value in attributes().items():
            setattr(self, name, value)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=lambda: vars(self)
        )

    def _fitted_attributes(self, run, rounds, classes):
        """What fit publishes, by name."""
        net, X, initial = run.net, run.X, run.start.module
        strong = run.mask.apply(initial)
        statistics = normalization_statistics(net.module_, X, strong)
        outputs = infer(net.module_, X, strong | statistics)
        if classes is None:
            of_kind = {"output_scale_": regression_scale(outputs, run.y)}
        else:
            of_kind = {"output_scale_": classification_scale(outputs, run.y), "classes_": classes}
        return of_kind | {
            "mask_": run.mask,
            "estimator_": net,
            "strong_statistics_": statistics,
            "initial_state_": {name: value.cpu() for name, value in initial.items()},
            "rounds_": rounds,
            "input_support_": run.mask.input_support(net.module_, X),
            "_n_features_out": hidden_features(net.module_, X[:1], run.mask).shape[1],
        }

    def _round(self, t, run) -> Generator[Training, None, dict]:
        """Train, score, prune and rewind; leave the training to the caller, return a record."""
        began = time.perf_counter()
        net, until = run.net, self._n_epochs(self.round_epochs)
        if until:
            training = self._training(
                net, run.X, run.y, until, self.rewind_epoch, self._l1_penalty(run.mask)
            )
            yield training
            if t == 1 and self.rewind_epoch:
                run.rewind_to = self._passed(training)
        found = self._search(net, run.mask, self._density(t), run.X, run.y, run.rng)
        run.mask = (yield from found) if isgenerator(found) else found
        train_loss = last_train_loss(net)
        stored = self._stored(net)
        run.rewind_to.restore(net, keep_weights=self.rewind_epoch is None)
        hold_mask(net, run.mask)
        return self._record(t, run, train_loss, began) | stored

    def _density(self, t):
        """The density after round t; None leaves it to the algorithm."""
        return None if self.sparsity is None else (1 - self.sparsity) ** (t / self.n_rounds)

    def _stored(self, net):
        """What a round's record keeps of its training."""
        return {"state": TrainingState.of(net).module} if self.store_rounds else {}

    def _record(self, t, run, train_loss, began):
        """What `rounds_` tells about a round."""
        mask = run.mask
        effective = mask.effective(run.net.module_, run.X)
        return {
            "round": t,
            "density": mask.density,
            "mask": mask,
            "n_kept": mask.n_kept,
            "n_effective": effective.n_kept,
            "collapsed": not any(kept.any() for kept in effective.values() if kept.ndim > 1),
            "train_loss": train_loss,
            "seconds": time.perf_counter() - began,
        }

    def _check_data(self, X, y):
        """Validate X and y; return float32 X, y as the net's loss wants it, and the classes."""
        classifier = is_classifier(self.estimator)
        X, y = validate_data(
            self,
            X,
            y,
            dtype=np.float32,
            allow_nd=True,
            force_writeable=True,
            multi_output=not classifier,
            y_numeric=not classifier,
        )
        if not classifier:
            return X, np.asarray(y, dtype=np.float32).reshape(len(y), -1), None
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes in the data, but "
                f"the data contains only one class: {classes[0]!r}"
            )
        binary = isinstance(self.estimator, NeuralNetBinaryClassifier)
        return X, codes.astype(np.float32 if binary else np.int64), classes

    def _check_epochs(self):
        """Check that every state to rewind to will have been passed."""
        if not self.rewind_epoch:
            return
        if self.schedule is not None:
            raise ValueError(
                f"schedule={self.schedule!r} begins anew with each training and cannot be rewound "
                f"to rewind_epoch={self.rewind_epoch}; use rewind_epoch=0 or None."
            )
        round_epochs = self._n_epochs(self.round_epochs)
        final_epochs = self._n_epochs(self.final_epochs)
        if self.rewind_epoch > round_epochs:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch} is beyond the {round_epochs} epochs trained in "
                f"a round; raise round_epochs={self.round_epochs!r} or rewind to an earlier epoch."
            )
        if self.train_ticket and self.rewind_epoch > final_epochs:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch} is beyond the {final_epochs} epochs of the "
                f"ticket's training; raise final_epochs={self.final_epochs!r} or rewind to an "
                "earlier epoch."
            )

    def _passed(self, training):
        """The state at the epoch to rewind to, unless training was stopped before it."""
        if training.passed is None:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch} is beyond the {len(training.net.history)} "
                "epochs after which a callback of estimator stopped the training; rewind to an "
                "earlier epoch."
            )
        return training.passed

    def _training(self, net, X, y, until, snapshot=None, penalty=None, **callbacks) -> Training:
        """A training until so many epochs are in the history, along the schedule."""
        return Training(net, X, y, until, snapshot, self.schedule, penalty, callbacks)

    def _l1_penalty(self, mask):
        """The penalty on the weights' magnitudes while rounds are trained."""
        if not self.l1:
            return None
        strength = AUTO_L1[is_classifier(self.estimator)] if self.l1 == "auto" else self.l1
        return L1Penalty(strength, [name for name, kept in mask.items() if kept.ndim > 1])

    def _n_epochs(self, epochs):
        return self.estimator.max_epochs if epochs is None else epochs

    def _starting_point(self, net):
        """The state whose weights are the ticket's initial ones."""
        return TrainingState.of(net)

    def _full_mask(self, net):
        """The mask before the first round."""
        return TicketMask.ones_like(net.module_, prune_bias=self.prune_bias, exclude=self.exclude)


def _dead_ends_last(scores, effective):
    """Scores that rank what lies on no path below all that does."""
    lowest = min(score.min() for score in scores.values())
    return {
        name: score.where(effective[name].to(score.device), lowest - 1)
        for name, score in scores.items()
    }


share_docs(BasePruner)
