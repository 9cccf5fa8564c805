"""Documentation of the parameters and attributes that all pruners share."""

import inspect
import re
from typing import Any

_PARAMETERS = """estimator : NeuralNetClassifier, NeuralNetBinaryClassifier or NeuralNetRegressor
        An unfitted skorch net around a module *class* or factory whose modules return
        logits or regression outputs. It is cloned, never changed. Parameters
        ``n_features``, ``n_outputs``, ``n_channels`` and ``image_size`` of the module that
        have no default are taken from the data.
    sparsity : float in [0, 1), default=0.9
        Fraction of the prunable parameters to remove; met exactly.
    scope : {"global", "layer"}, default="global"
        Whether parameters compete with all others or within their layer.
    prune_bias : bool, default=False
        Whether biases are pruned, too.
    exclude : tuple of str, default=()
        Glob patterns of parameter names left dense, such as ``"head.*"``.
    n_rounds : int, default=%(n_rounds)s
        Number of rounds R; after round t the fraction ``(1 - sparsity) ** (t / R)`` is kept.
    round_epochs : int or None, default=%(round_epochs)s
        Epochs trained before each scoring; 0 scores the network as initialized, None
        takes the net's ``max_epochs``.
    rewind_epoch : int or None, default=%(rewind_epoch)s
        Where kept weights return to after each round: 0 their initial values, k their
        values after k epochs (with the optimizer's state and the schedule), None nowhere,
        only the optimizer and the schedule restart (learning-rate rewinding).
    final_epochs : int or None, default=%(final_epochs)s
        Epochs of the ticket's own training; None takes the net's ``max_epochs``.
    train_ticket : bool, default=%(train_ticket)s
        Whether to train the ticket at all; if not, `estimator_` holds it as rewound, and
        ``strong_predict`` reads it.
    l1 : float >= 0 or "auto", default=%(l1)r
        Weight of the sum of the prunable weights' magnitudes in the loss, while rounds are
        trained (not in the ticket's own training); "auto" takes 3e-4 for classifiers and
        1e-4 for regressors.
    connected : bool, default=%(connected)s
        Whether parameters on no path from an input to an output are pruned first. What the
        last round cuts off stays: it takes several rounds.
    schedule : {"one-cycle"} or None, default=%(schedule)r
        Learning-rate schedule of each training, begun anew: "one-cycle" rises to the
        net's rate and falls to 0, step by step. None leaves it to the net's callbacks.
    store_rounds : bool, default=False
        Whether `rounds_` keeps the network's weights and buffers, too, as trained in each
        round, before what is pruned is removed and the rest is rewound.
    mask_epochs : int or None, default=None
        Epochs of learning the mask; None takes the net's ``max_epochs``.
    mask_lr : float > 0, default=%(mask_lr)s
        Learning rate of the mask's scores (Adam), annealed along a cosine.
    mask_init : float, default=%(mask_init)s
        Initial score of every parameter; the lower, the sparser the mask.
    penalty : float >= 0 or "auto", default=%(penalty)r
        Weight of the penalty: the mean over all prunable parameters of how open their
        gates are, as far as it exceeds the density that is asked for. With
        ``sparsity=None`` all of it counts, and the higher, the sparser the mask. "auto"
        takes 10 for classifiers and 1 for regressors.
    learn_scale : bool, default=%(learn_scale)s
        Whether a positive factor per output is learned besides: outputs of a pruned random
        network are in arbitrary units.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, batches and all that is random in the search."""

_ATTRIBUTES = """mask_ : TicketMask
        What is kept.
    estimator_ : skorch net
        The sparse network, its pruned weights exactly 0. Its ``partial_fit`` holds the
        mask; its ``fit`` starts a dense network, and its ``predict`` of a classifier gives
        class numbers rather than labels.
    initial_state_ : dict of str to Tensor
        Weights and buffers at initialization, on the CPU.
    strong_statistics_ : dict of str to Tensor
        Running statistics that batch normalization has in the *strong* ticket, estimated on
        the training data; empty without such layers.
    output_scale_ : ndarray of shape (n_outputs,)
        Positive factors through which the *strong* ticket (the mask on the initial
        weights) is read, estimated on the training data.
    rounds_ : list of dict
        One per round: ``round, density, mask, n_kept, n_effective, collapsed,
        train_loss, seconds``, and ``state`` if `store_rounds`.
    input_support_ : bool ndarray of shape X.shape[1:]
        The inputs that the ticket still reads.
    classes_ : ndarray of shape (n_classes,)
        Class labels; classifiers only.
    n_features_in_ : int
        Number of features (channels, for images) seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had string names."""


_SPARSITY_OR_NONE = """sparsity : float in [0, 1) or None, default=%(sparsity)s
        Fraction of the prunable parameters to remove, met exactly; None keeps what the
        method itself finds."""


def share_docs(cls: Any) -> None:
    """Fill in a pruner's docstring what it shares with others.

    The line ``<parameters>`` stands for all parameters that are documented here, the line
    ``<parameters: a, b>`` for these two, and ``<attributes>`` for what fit leaves behind. What
    a parameter means to some pruners only, they say in ``_parameter_docs``.
    """
    signature = inspect.signature(cls).parameters
    defaults = {name: parameter.default for name, parameter in signature.items()}
    documented = {
        text.split(" ", 1)[0]: text for text in re.split(r"\n    (?=\w+ : )", _PARAMETERS)
    }
    if None in cls._parameter_constraints.get("sparsity", ()):
        documented["sparsity"] = _SPARSITY_OR_NONE
    documented |= getattr(cls, "_parameter_docs", {})

    def texts(match: re.Match) -> str:
        listed = match["names"].split(", ") if match["names"] else documented.keys() & signature
        return "\n    ".join(documented[name] % defaults for name in signature if name in listed)

    if cls.__doc__:
        doc = re.sub(r"<parameters(: (?P<names>[^>]*))?>", texts, cls.__doc__)
        cls.__doc__ = doc.replace("<attributes>", _ATTRIBUTES)
