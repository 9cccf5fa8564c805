"""`initialize`: draw the initial weights and biases of a network."""

import math
from collections.abc import Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

_INITS = ("he", "nonzero-bias", "looks-linear", None)
_LinearOrConv: TypeAlias = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def initialize(module: nn.Module, init: str | None, *, bias_scale: float = 1.0) -> None:
    r"""Set the weights and biases of all linear and convolutional layers in place.

    Numbers are drawn from torch's global random stream, layer after layer in the order of
    ``module.modules()``. Normalization layers are left alone.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    init : {"he", "nonzero-bias", "looks-linear"} or None
        The distribution; n is the number of inputs of each of the layer's units.

        - ``"he"``: weights from N(0, 2 / n), biases 0, as in [1]_.
        - ``"nonzero-bias"``: biases random as well, as in [2]_. Weights are the same as with
          ``"he"`` and the same seed.
        - ``"looks-linear"``: pairs of units that mirror each other, so that a ReLU network
          starts as a linear function, as in [3]_. Biases are 0.
        - None: PyTorch's own initialization is kept.
    bias_scale : float, default=1.0
        Factor of the random biases.

    Raises
    ------
    ValueError
        If `init` is unknown, `bias_scale` is negative or not finite, or units that should
        mirror each other are odd in number. The module is then unchanged.

    See Also
    --------
    MLP : A network that takes `init` as a parameter, as all in this package do.

    Notes
    -----
    The biases of layer l are drawn from

    .. math:: N(0, \sigma_l^2), \qquad \sigma_l = \text{bias\_scale} \prod_{k \le l}
              \sqrt{2 / n_k},

    where layers without biases count as well. With a `bias_scale` of 1, weights and
    biases alike would be standard normal if each layer were divided by the deviation of its
    weights, which multiplies the outputs by a constant. In late layers, biases are tiny. For
    planted tickets, [4]_ takes 0.06 in VGG and 1 in fully connected networks.

    A looks-linear network has the weights

    .. math:: \begin{bmatrix} W_1 \\ -W_1 \end{bmatrix}, \quad
              \begin{bmatrix} W_l & -W_l \\ -W_l & W_l \end{bmatrix}, \quad
              \begin{bmatrix} W_L & -W_L \end{bmatrix}

    in its first layer, the hidden ones and its last. As relu(u) - relu(-u) = u, it computes
    :math:`W_L \cdots W_1 x`. Every W is (semi-)orthogonal, so that square ones keep the norm
    of x; the blocks of a convolution are blocks of channels, and its W is orthogonal as a
    matrix with a row per output channel. This needs a chain of layers with nothing but ReLU,
    flattening and average pooling between them. Other networks get the same blocks and are not
    linear, because of max pools and shortcuts.

    References
    ----------
    .. [1] He, Zhang, Ren and Sun, "Delving deep into rectifiers: surpassing human-level
       performance on ImageNet classification", ICCV 2015. arXiv:1502.01852.
    .. [2] Fischer, Gadhikar and Burkholz, "Lottery tickets with nonzero biases", 2021.
       arXiv:2110.11150.
    .. [3] Balduzzi, Frean, Leary, Lewis, Ma and McWilliams, "The shattered gradients problem:
       if resnets are the answer, then what is the question?", ICML 2017. arXiv:1702.08591.
    .. [4] Fischer and Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?", ICLR 2022.
       arXiv:2111.11153.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from sklearn_tickets.models import initialize
    >>> module = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> initialize(module, "looks-linear")
    >>> bool(module(torch.tensor([[3.0, 4.0]])).norm().isclose(torch.tensor(5.0)))
    True
    """
    if init not in _INITS:
        raise ValueError(
            f"init must be 'he', 'nonzero-bias', 'looks-linear' or None; got {init!r}."
        )
    if not 0 <= bias_scale < math.inf:
        raise ValueError(f"bias_scale={bias_scale} must be finite and at least 0.")
    if init == "looks-linear":
        _draw_mirrored(module)
    elif init is not None:
        # "he" draws as many biases, of deviation 0, so that the weights are the same.
        for parameter, deviation in he_deviations(module, 0.0 if init == "he" else bias_scale):
            nn.init.normal_(parameter, std=deviation)


def he_deviations(module: nn.Module, bias_scale: float = 1.0) -> Iterator[tuple[Tensor, float]]:
    """Iterate over the standard deviations of the ``"nonzero-bias"`` initialization.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Only its linear and convolutional layers are covered.
    bias_scale : float, default=1.0
        Factor of the deviations of the biases.

    Yields
    ------
    parameter : Tensor
        The weight of each layer, followed by its bias if it has one.
    deviation : float
        Standard deviation of the parameter's normal distribution.

    See Also
    --------
    initialize : Draw the parameters from torch's global random stream.

    Examples
    --------
    >>> from sklearn_tickets.models import MLP, he_deviations
    >>> [deviation for _, deviation in he_deviations(MLP(n_features=8, n_outputs=3, hidden=(2,)))]
    [0.5, 0.5, 1.0, 0.5]
    """
    for layer in _layers(module).values():
        deviation = math.sqrt(2 / layer.weight[0].numel())
        bias_scale *= deviation
        yield layer.weight, deviation
        if layer.bias is not None:
            yield layer.bias, bias_scale


def _layers(module: nn.Module) -> dict[str, _LinearOrConv]:
    """All layers to initialize, by name."""
    return {name: sub for name, sub in module.named_modules() if isinstance(sub, _LinearOrConv)}


def _draw_mirrored(module: nn.Module) -> None:
    """Draw orthogonal blocks, mirrored between the hidden units."""
    layers = _layers(module)
    names = list(layers)
    for name, layer in layers.items():
        n_outputs, n_inputs = layer.weight.shape[:2]
        if (name != names[0] and n_inputs % 2) or (name != names[-1] and n_outputs % 2):
            raise ValueError(
                f"init='looks-linear' pairs all hidden units, but layer {name!r} has {n_inputs} "
                f"inputs and {n_outputs} outputs. Use an even number of units, or another init."
            )
    for name, layer in layers.items():
        n_outputs, n_inputs, *kernel = layer.weight.shape
        n_outputs //= 1 if name == names[-1] else 2
        n_inputs //= 1 if name == names[0] else 2
        weight = nn.init.orthogonal_(layer.weight.new_empty(n_outputs, n_inputs, *kernel))
        if name != names[0]:
            weight = torch.cat([weight, -weight], dim=1)
        if name != names[-1]:
            weight = torch.cat([weight, -weight])
        with torch.no_grad():
            layer.weight.copy_(weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
