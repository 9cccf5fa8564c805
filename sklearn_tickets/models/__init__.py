"""Network factories: callables that return a fresh module at every call.

The networks of the pruning papers are classes that can be passed to a skorch net as its
``module``: fully connected (`MLP`, `LeNet300100`) and convolutional (`LeNet5`, `ConvNet`, `VGG`,
`ResNet`). `initialize` draws their initial weights; `ModuleTemplate` wraps an existing module.
"""

from sklearn_tickets.models._conv_net import ConvNet
from sklearn_tickets.models._initialize import he_deviations, initialize
from sklearn_tickets.models._lenet import LeNet5, LeNet300100
from sklearn_tickets.models._mlp import MLP
from sklearn_tickets.models._resnet import ResNet
from sklearn_tickets.models._scaled_linear import ScaledLinear
from sklearn_tickets.models._template import ModuleTemplate
from sklearn_tickets.models._vgg import VGG

__all__ = [
    "MLP",
    "VGG",
    "ConvNet",
    "LeNet5",
    "LeNet300100",
    "ModuleTemplate",
    "ResNet",
    "ScaledLinear",
    "he_deviations",
    "initialize",
]
