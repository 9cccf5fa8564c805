"""Documentation of the parameters and attributes that all pruners share."""

import inspect

PARAMETERS = """estimator : NeuralNetClassifier, NeuralNetBinaryClassifier or NeuralNetRegressor
        An unfitted skorch net around a module *class* or factory whose modules return
        logits or regression outputs. It is cloned, never changed. Parameters
        ``n_features`` and ``n_outputs`` of the module that have no default are taken
        from the data.
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
        Epochs trained before each scoring; 0 scores the network as initialised, None
        takes the net's ``max_epochs``.
    rewind_epoch : int or None, default=%(rewind_epoch)s
        Where kept weights return to after each round: 0 their initial values, k their
        values after k epochs (with the optimiser's state and the schedule), None nowhere,
        only the optimiser and the schedule restart (learning-rate rewinding).
    final_epochs : int or None, default=%(final_epochs)s
        Epochs of the ticket's own training; None takes the net's ``max_epochs``.
    train_ticket : bool, default=True
        Whether to train the ticket at all; if not, `estimator_` holds it as rewound.
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
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, batches and ties."""

ATTRIBUTES = """mask_ : TicketMask
        What is kept.
    estimator_ : skorch net
        The sparse network, its pruned weights exactly 0. Its ``partial_fit`` holds the
        mask; its ``fit`` starts a dense network, and its ``predict`` of a classifier gives
        class numbers rather than labels.
    initial_state_ : dict of str to Tensor
        Weights and buffers at initialisation, on the CPU.
    output_scale_ : ndarray of shape (n_outputs,)
        Positive factors through which the *strong* ticket (the mask on the initial
        weights) is read, estimated on the training data.
    rounds_ : list of dict
        One per round: ``round, density, mask, n_kept, n_effective, collapsed,
        train_loss, seconds``.
    input_support_ : bool ndarray of shape X.shape[1:]
        The inputs that the ticket still reads.
    classes_ : ndarray of shape (n_classes,)
        Class labels; classifiers only.
    n_features_in_ : int
        Number of features (channels, for images) seen during fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if X had string names."""


def share_docs(cls: type) -> None:
    """Replace the lines ``<parameters>`` and ``<attributes>`` in a pruner's docstring."""
    if cls.__doc__:
        signature = inspect.signature(cls).parameters
        defaults = {name: parameter.default for name, parameter in signature.items()}
        shared = {"<attributes>": ATTRIBUTES}
        if "<parameters>" in cls.__doc__:
            shared["<parameters>"] = PARAMETERS % defaults
        for marker, text in shared.items():
            cls.__doc__ = cls.__doc__.replace(marker, text)
