"""Units of a network: what computes and reads them, and which go together."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from sklearn_tickets._network import UnitGroup, prunable_parameters, unit_groups
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.models import MLP, VGG, LeNet5, ResNet


class Net(nn.Module):
    """Parts under names, and a forward of them: ``forward(parts, x)``."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def groups_of(module, reads_rows=True, **settings):
    """The groups as (number of units, rows, columns), names joined by blanks."""
    prunable = prunable_parameters(module, **settings)
    groups = unit_groups(module, prunable, reads_rows)
    assert all(isinstance(group, UnitGroup) for group in groups)
    return [(g.n_units, " ".join(g.rows), " ".join(g.columns)) for g in groups]


def test_a_chain_of_layers():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    assert groups_of(module) == [(3, "0.weight", "2.weight"), (5, "2.weight", "4.weight")]
    assert groups_of(module, prune_bias=True) == [
        (3, "0.weight 0.bias", "2.weight"),
        (5, "2.weight 2.bias", "4.weight"),
    ]
    assert groups_of(nn.Linear(4, 3)) == []


def test_flattened_maps_are_read_by_several_columns():
    assert groups_of(LeNet5(1, 8, 5), reads_rows=False) == [
        (6, "features.conv1.weight", "features.conv2.weight"),
        (16, "features.conv2.weight", "classifier.linear1.weight"),
        (120, "classifier.linear1.weight", "classifier.linear2.weight"),
        (84, "classifier.linear2.weight", "classifier.linear3.weight"),
    ]


def view(x):
    return x.view(x.size(0), -1)


def view_to_length(x):
    return x.view(-1, 12)


def test_views_are_flattening_if_they_keep_the_rows():
    parts = {"a": nn.Conv2d(1, 3, 3), "b": nn.Linear(12, 2)}
    module = Net(lambda m, x: m.b(view(m.a(x))), **parts)
    assert groups_of(module, reads_rows=False) == [(3, "a.weight", "b.weight")]
    module = Net(lambda m, x: m.b(view_to_length(m.a(x))), **parts)
    with pytest.raises(ValueError, match="between them is view"):
        groups_of(module, reads_rows=False)


def test_residual_stages_are_one_group_each():
    groups = groups_of(ResNet(1, 8, 5, width=0.5), reads_rows=False)
    assert len(groups) == 12
    assert groups[5] == (
        16,
        "features.stage2.0.conv2.weight features.stage2.0.shortcut.conv.weight "
        "features.stage2.1.conv2.weight features.stage2.2.conv2.weight",
        "features.stage2.1.conv1.weight features.stage2.2.conv1.weight "
        "features.stage3.0.conv1.weight features.stage3.0.shortcut.conv.weight",
    )


def test_every_layer_but_the_last_of_vgg():
    groups = groups_of(VGG(1, 8, 5, depth=11, width=0.25), reads_rows=False)
    assert [n_units for n_units, _, _ in groups] == [16, 32, 64, 64, 128, 128, 128, 128]


def test_units_that_are_added_to_outputs_stay():
    module = Net(
        lambda m, x: m.c(m.b(m.a(x)).relu()) + m.a2(x),
        a=nn.Linear(4, 3),
        b=nn.Linear(3, 5),
        c=nn.Linear(5, 2),
        a2=nn.Linear(4, 2),
    )
    assert groups_of(module) == [(3, "a.weight", "b.weight"), (5, "b.weight", "c.weight")]


@pytest.mark.parametrize(
    "ending", [lambda x: x.squeeze(1), lambda x: x.log_softmax(1), lambda x: {"out": x * 2 + 1}]
)
def test_anything_may_follow_the_last_layer(ending):
    module = Net(lambda m, x: ending(m.b(m.a(x).relu())), a=nn.Linear(4, 3), b=nn.Linear(3, 1))
    assert groups_of(module) == [(3, "a.weight", "b.weight")]


def test_planted_networks_scale_their_outputs():
    module = PlantedTicketGenerator(width=20, random_state=0).generate(10).module()
    assert [n_units for n_units, _, _ in groups_of(module)] == [20, 20, 20]


def test_units_of_excluded_weights_stay():
    module = MLP(4, 2, (3, 5, 6))
    assert groups_of(module, exclude=("layers.1.*",)) == [(6, "layers.2.weight", "layers.3.weight")]


def test_names_are_those_of_the_parameters():
    first = nn.Linear(4, 3)
    module = Net(lambda m, x: m.b(m.alias(x).relu()), a=first, alias=first, b=nn.Linear(3, 2))
    assert groups_of(module) == [(3, "a.weight", "b.weight")]


def maps(*between, channels=4, groups=1):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        *between,
        nn.Conv2d(4, channels, 3, groups=groups),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, 2),
    )


def test_normalization_right_after_a_layer_passes_units_on():
    names = "0.weight", "2.weight"
    assert groups_of(maps(nn.BatchNorm2d(4)), reads_rows=False)[0] == (4, *names)
    rows = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    assert groups_of(rows) == [(3, *names)]
    # Of three axes, it is the second that is normalized.
    with pytest.raises(ValueError, match="between them is BatchNorm1d"):
        groups_of(rows, reads_rows=False)


TWICE = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        (
            maps(nn.GroupNorm(2, 4)),
            "follow the units of '0' to '2' in .* between them is GroupNorm",
        ),
        (maps(nn.ReLU(), nn.BatchNorm2d(4)), "'0' to '3' in .* between them is BatchNorm2d"),
        (maps(groups=2), "which units '1.weight' of .*Sequential computes"),
        (nn.Sequential(nn.Linear(4, 4), TWICE, TWICE), "which units '1.weight' of"),
        (nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(8, 2)), "units '0.weight' of"),
        (
            Net(lambda m, x: m.b(torch.cat([m.a(x), x], 1)), a=nn.Linear(4, 3), b=nn.Linear(7, 2)),
            "'a' to 'b' in estimator's module Net: between them is cat.",
        ),
        (
            Net(
                lambda m, x: m.b(functional.layer_norm(m.a(x), (3,)).relu()),
                a=nn.Linear(4, 3),
                b=nn.Linear(3, 2),
            ),
            "between them is layernorm",
        ),
        (
            Net(lambda m, x: m.a(x) if x.sum() > 0 else m.b(x), a=nn.Linear(4, 3)),
            "cannot be traced",
        ),
    ],
)
def test_what_is_not_understood_is_refused_by_name(module, complaint):
    with pytest.raises(ValueError, match=complaint):
        groups_of(module, reads_rows=False)


def test_excluded_layers_may_be_anything():
    module = maps(nn.GroupNorm(2, 4))
    assert groups_of(module, reads_rows=False, exclude=("0.weight",)) == [
        (4, "2.weight", "5.weight")
    ]
    module = maps(groups=2)
    assert groups_of(module, reads_rows=False, exclude=("0.*", "1.*")) == []
