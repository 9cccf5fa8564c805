"""Parameters that share memory: masked under all of their names, or refused."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import MagnitudePruner
from tests.instances import make_net


class TiedNet(nn.Module):
    """Layers of one size, tied by a function."""

    def __init__(self, tie):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(4, 4) for _ in range(3))
        self.embedding = nn.Embedding(4, 4)
        tie(self)


def tie_weights(net):
    net.b.weight = net.a.weight


def tie_three_weights(net):
    net.a.weight = net.b.weight = net.c.weight


def tie_biases(net):
    net.c.bias = net.a.bias


def tie_embedding_and_decoder(net):
    net.c.weight = net.embedding.weight


def register_a_layer_twice(net):
    net.again = net.a


def keep_a_transposed_view(net):
    net.register_buffer("view", net.a.weight.detach().t())


def keep_a_view_of_a_row(net):
    net.register_buffer("row", net.a.weight.detach()[1])


def saved_and_loaded(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file)


@pytest.mark.parametrize("copied", [dict, copy.deepcopy, saved_and_loaded])
@pytest.mark.parametrize(
    "tie",
    [
        tie_weights,
        tie_three_weights,
        tie_biases,
        tie_embedding_and_decoder,
        register_a_layer_twice,
        keep_a_transposed_view,
        keep_a_view_of_a_row,
    ],
)
def test_every_name_of_a_tied_parameter_is_masked(tie, copied):
    torch.manual_seed(0)
    net = TiedNet(tie)
    before = copy.deepcopy(net.state_dict())
    mask = TicketMask.ones_like(net, prune_bias=True)
    mask = mask.shrink({name: torch.rand(kept.shape) for name, kept in mask.items()}, 0.4)
    net.load_state_dict(mask.apply(copied(net.state_dict())))
    for name, parameter in net.named_parameters():
        assert parameter.equal(before[name] * mask[name]), name


def test_a_mask_of_several_names_of_one_parameter_removes_what_any_of_them_does():
    weight = torch.ones(1, 3)
    masked = TicketMask({"a": [[1, 1, 0]], "b": [[0, 1, 1]]}).apply({"a": weight, "b": weight})
    assert masked["a"].tolist() == masked["b"].tolist() == [[0, 1, 0]]


def test_layers_that_are_not_tied_are_left_alone():
    net = TiedNet(tie_weights)
    state = net.state_dict()
    mask = TicketMask({"a.weight": np.zeros((4, 4)), "a.bias": np.zeros(4)})
    masked = mask.apply(state)
    assert [name for name in state if masked[name] is not state[name]] == [
        "a.weight",
        "a.bias",
        "b.weight",
    ]
    assert state["b.weight"].any()


def test_parts_of_one_block_of_memory_are_told_apart():
    first, second = torch.arange(12.0).view(4, 3).split(2)
    masked = TicketMask({"first": np.zeros(first.shape)}).apply({"first": first, "second": second})
    assert not masked["first"].any()
    assert masked["second"] is second


def test_views_of_another_type_are_told_apart():
    state = {"weight": torch.ones(2, 2), "same": None, "halves": None, "integers": None}
    state["same"] = state["weight"].t()
    state["halves"] = state["weight"].view(torch.float16)
    state["integers"] = state["weight"].view(torch.int32)
    masked = TicketMask({"weight": [[0, 1], [1, 1]]}).apply(state)
    assert masked["weight"].tolist() == masked["same"].tolist() == [[0, 1], [1, 1]]
    assert masked["halves"] is state["halves"]
    assert masked["integers"] is state["integers"]


def test_what_is_left_of_a_tie_in_clones_is_warned_of():
    state = {name: value.clone() for name, value in TiedNet(tie_weights).state_dict().items()}
    mask = TicketMask({"a.weight": np.eye(4)})
    with pytest.warns(
        UserWarning, match=r"state\['b.weight'\] equals state\['a.weight'\].*deepcopy"
    ):
        masked = mask.apply(state)
    assert masked["b.weight"] is state["b.weight"]


def test_equal_entries_that_the_mask_does_not_change_are_nothing_to_warn_of():
    zeros = {name: torch.zeros(2, 2) for name in "ab"}
    assert not TicketMask({"a": np.eye(2)}).apply(zeros)["b"].any()
    ones = {name: torch.ones(2, 2) for name in "ab"}
    assert TicketMask({"a": np.ones((2, 2))}).apply(ones)["b"].all()


def test_entries_without_memory_are_passed_on():
    state = {
        "weight": torch.ones(2, 2),
        "sparse": torch.eye(2).to_sparse(),
        "shape": torch.ones(2, 2, device="meta"),
        "nothing": torch.ones(0),
        "_extra_state": {"version": 1},
    }
    mask = TicketMask({"weight": np.eye(2)})
    assert mask.apply(state)["weight"].equal(torch.eye(2))
    masked = torch.vmap(lambda weight: mask.apply({**state, "weight": weight})["weight"])
    assert masked(torch.ones(3, 2, 2)).equal(torch.eye(2).expand(3, 2, 2))


class TiedClassifier(TiedNet):
    def __init__(self, tie=tie_weights):
        super().__init__(tie)

    def forward(self, X):
        return self.c(self.b(self.a(X).relu()).relu())


def test_the_initial_state_of_a_pickled_pruner_can_be_masked():
    X = np.random.RandomState(0).randn(40, 4).astype("float32")
    net = make_net("classifier", module=TiedClassifier, max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(X, X.argmax(axis=1))
    pruner = pickle.loads(pickle.dumps(pruner))
    module = TiedClassifier()
    module.load_state_dict(pruner.mask_.apply(pruner.initial_state_))
    assert not module.a.weight[~pruner.mask_["a.weight"]].any()
    assert module.a.weight[pruner.mask_["a.weight"]].all()


def overlapping(net):
    net.b.weight = nn.Parameter(net.a.weight.detach().t())


def test_parameters_that_are_views_of_others_are_refused():
    net = TiedNet(overlapping)
    with pytest.raises(
        ValueError, match=r"'b.weight' shares entries with another of a.weight, b.w"
    ):
        TicketMask.ones_like(net).check_fits(net)


class NotYet(Callback):
    def on_train_begin(self, net, **kwargs):
        raise AssertionError("trained")


def test_views_of_parameters_are_refused_before_anything_is_trained():
    X = np.random.RandomState(0).randn(40, 4).astype("float32")
    net = make_net(
        "classifier", module=TiedClassifier, module__tie=overlapping, callbacks=[NotYet()]
    )
    with pytest.raises(ValueError, match=r"'b\.weight' shares entries"):
        MagnitudePruner(net, round_epochs=1, random_state=0).fit(X, X.argmax(axis=1))


def flatten(net):
    """Lay all parameters out in one block of memory, as recurrent layers do on GPUs."""
    flat = torch.cat([parameter.detach().flatten() for parameter in net.parameters()])
    sizes = [parameter.numel() for parameter in net.parameters()]
    for parameter, part in zip(net.parameters(), flat.split(sizes), strict=True):
        parameter.data = part.view(parameter.shape)


def test_parameters_beside_each_other_in_memory_are_no_views():
    net = TiedNet(flatten)
    mask = TicketMask({"b.weight": np.eye(4)})
    mask.check_fits(net)
    state = net.state_dict()
    masked = mask.apply(state)
    assert [name for name in state if masked[name] is not state[name]] == ["b.weight"]
