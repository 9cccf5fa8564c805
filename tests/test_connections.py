"""Paths through torch's operations, compared with what influences what by brute force."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from sklearn_tickets._network import trace_paths
from sklearn_tickets.masks import TicketMask


class Net(nn.Module):
    """Parts under names, and a forward of them: ``forward(parts, x)``."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def weight(*shape):
    return nn.Parameter(torch.ones(shape))


def linear(n=4, m=4):
    return nn.Linear(n, m, bias=False)


def between(layer, n_in=4, n_out=4):
    """A layer between two linear ones, all with some weights pruned."""
    return nn.Sequential(linear(4, n_in), layer, nn.Flatten(), linear(n_out, 3))


def image(layer, n_out, channels=4):
    """A layer on a feature map of 4 x 4 pixels."""
    size = (channels, 4, 4)
    first = nn.Conv2d(2, channels, 1, bias=False)
    return nn.Sequential(
        nn.Unflatten(1, (2, 4, 4)), first, layer, nn.Flatten(), linear(n_out, 2)
    ), size


def images(layer, n_out, channels=4):
    return image(layer, n_out, channels)[0], (32,)


def vector(forward, **parts):
    """The parts' forward between two linear layers."""
    return between(Net(forward, **parts)), (4,)


def tokens(forward, **parts):
    return Net(forward, **parts), "tokens"


def attention(net, x):
    h = net.first(x).unflatten(1, (2, 2))
    return net.last(net.attention(h, h, h)[0].flatten(1))


def own_attention(net, x):
    h = net.first(x).unflatten(1, (2, 2))
    weights = (net.query(h) @ net.key(h).mT).softmax(-1)
    return net.last((weights @ net.value(h)).flatten(1))


def fill_in_place(net, x):
    out = torch.zeros(len(x), 3, dtype=x.dtype)
    out[:, 0] = net.first(x)[:, 1]
    out[:, 1:] = net.second(x)
    return out


def keep_before_writing(net, x):
    """The second tensor is written in place, the first one is not."""
    h = net.first(x)
    opposite = -h
    opposite *= 0
    return net.last(h + opposite)


def scale_part_in_place(net, x):
    h = net.first(x)
    h[:, 1:].mul_(net.scale)
    return net.last(h)


def early_exit(net, x):
    return net.first(x) if x.sum() > 0 else net.second(x)


def by_number(net, x):
    return net.first(x) * x.mean().item()


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


# Operations whose paths are followed exactly.
EXACT = {
    "plain": (nn.Sequential(linear(4, 5), nn.ReLU(), linear(5, 3)), (4,)),
    "linear": (Net(lambda n, x: functional.linear(x, n.W, n.b), W=weight(3, 4), b=weight(3)), (4,)),
    "tau": (Net(lambda n, x: x @ n.W * n.tau, W=weight(4, 3), tau=weight()), (4,)),
    "tau_and_bias": (
        Net(
            lambda n, x: (x @ n.W * n.tau + n.b) @ n.V,
            W=weight(4, 3),
            V=weight(3, 2),
            tau=weight(3),
            b=weight(3),
        ),
        (4,),
    ),
    "scaled_weight": (Net(lambda n, x: x @ (n.W * n.tau), W=weight(4, 3), tau=weight(3)), (4,)),
    "exp_scale": vector(lambda n, x: x * n.s.exp(), s=weight(4)),
    "scale_division": vector(lambda n, x: x / n.s, s=weight(4)),
    "normed_weight": vector(lambda n, x: x @ (n.W / n.W.norm()), W=weight(4, 4)),
    "unit_weight": vector(
        lambda n, x: functional.linear(x, functional.normalize(n.W)), W=weight(4, 4)
    ),
    "softmax_weight": vector(lambda n, x: x @ n.W.softmax(1), W=weight(4, 4)),
    "buffer_mask": (
        Net(lambda n, x: functional.linear(x, n.W * torch.eye(4, dtype=x.dtype)), W=weight(4, 4)),
        (4,),
    ),
    "layer_scale": vector(lambda n, x: x + n.g * n.f(x), g=weight(4), f=linear()),
    "residual": vector(lambda n, x: x + n.f(x).relu(), f=linear()),
    "residual_inplace": vector(lambda n, x: n.f(x).add_(x), f=linear()),
    "difference": vector(lambda n, x: n.f(x) - n.g(x), f=linear(), g=linear()),
    "from_one": vector(lambda n, x: 1 - n.f(x), f=linear()),
    "negative": vector(lambda n, x: -1 * n.f(x) - 0.5 * x, f=linear()),
    "excitation": vector(lambda n, x: x * n.f(x).sigmoid(), f=linear()),
    "silu_by_hand": vector(lambda n, x: x * x.sigmoid()),
    "sine": vector(lambda n, x: n.f(x).sin() + 1, f=linear()),
    "power": vector(lambda n, x: n.f(x) ** 2, f=linear()),
    "cat": vector(lambda n, x: torch.cat([n.f(x), x[:, 2:]], 1), f=linear(4, 2)),
    "split": vector(lambda n, x: torch.cat([*x.split([1, 3], 1)][::-1], 1)),
    "chunk": vector(lambda n, x: torch.stack(x.chunk(2, dim=1), 2)),
    "iterate": (
        Net(lambda n, x: torch.stack([n.f(row[None])[0] for row in x]), f=linear(4, 3)),
        (4,),
    ),
    "stride": (Net(lambda n, x: n.f(x[:, ::2]), f=linear(2, 3)), (4,)),
    "own_indices": (Net(lambda n, x: n.f(x[:, [3, 0]]), f=linear(2, 3)), (4,)),
    "buffer_index": (
        Net(lambda n, x: n.f(x.index_select(1, torch.tensor([1, 2]))), f=linear(2, 3)),
        (4,),
    ),
    "assign": (Net(fill_in_place, first=linear(4, 2), second=linear(4, 2)), (4,)),
    "keep_before_writing": (
        Net(keep_before_writing, first=linear(), last=linear(4, 2)),
        (4,),
    ),
    "scale_in_place": vector(lambda n, x: n.f(x).mul_(n.s), f=linear(), s=weight(4)),
    "scale_part_in_place": (
        Net(scale_part_in_place, first=linear(), scale=weight(3), last=linear(4, 2)),
        (4,),
    ),
    "residual_of_norm_in_place": images(
        Net(lambda n, x: n.f(x).add_(x), f=nn.InstanceNorm2d(4)), 64
    ),
    "constant_column": (
        Net(
            lambda n, x: n.f(torch.cat([x[:, :3], torch.ones(len(x), 1, dtype=x.dtype)], 1)),
            f=linear(4, 3),
        ),
        (4,),
    ),
    "where": vector(lambda n, x: torch.where(torch.arange(4) < 2, x, 0.0)),
    "masked_fill": vector(lambda n, x: x.masked_fill(torch.arange(4) < 2, 1.0)),
    "hard_gate": vector(lambda n, x: torch.where(x > 0, x, 0.1 * x)),
    "cumsum": vector(lambda n, x: n.f(x).cumsum(1), f=linear()),
    "maximum": vector(lambda n, x: torch.maximum(n.f(x), n.g(x)), f=linear(), g=linear()),
    "einsum": (Net(lambda n, x: torch.einsum("ni,io->no", x, n.W), W=weight(4, 3)), (4,)),
    "bilinear_einsum": (
        Net(lambda n, x: torch.einsum("ni,nj,ijo->no", x, x, n.W), W=weight(4, 4, 2)),
        (4,),
    ),
    "bilinear": (
        Net(lambda n, x: n.f(x[:, :2], x[:, 2:]), f=nn.Bilinear(2, 2, 3, bias=False)),
        (4,),
    ),
    "prelu": between(nn.PReLU(4)),
    "softmax": between(nn.Softmax(dim=1)),
    "layer_norm": between(nn.LayerNorm(4)),
    "batch_norm": between(nn.BatchNorm1d(4)),
    "batch_norm_of_parts": vector(
        lambda n, x: n.f((x * (torch.arange(4) == 2)).view(-1, 2)).view(-1, 4),
        f=nn.BatchNorm1d(2, affine=False, track_running_stats=False),
    ),
    "layer_norm_of_two_axes": vector(
        lambda n, x: n.f(functional.pad(x[:, :2], (0, 2)).unflatten(1, (2, 2))).flatten(1),
        f=nn.LayerNorm((2, 2)),
    ),
    "group_norm": images(nn.GroupNorm(2, 4), 64),
    "instance_norm": images(nn.InstanceNorm2d(4), 64),
    "conv_transpose": images(nn.ConvTranspose2d(4, 2, 2, stride=2, bias=False), 128),
    "grouped": images(nn.Conv2d(4, 4, 3, groups=2, bias=False), 16),
    "dilated": images(nn.Conv2d(4, 2, 2, dilation=2, bias=False), 8),
    "conv_padding": images(nn.Conv2d(4, 2, 3, padding="same", bias=False), 32),
    "pixel_shuffle": images(nn.PixelShuffle(2), 64),
    "channel_shuffle": images(nn.ChannelShuffle(2), 64),
    "fold": images(nn.Sequential(nn.Unfold(2, stride=2), nn.Fold((4, 4), 2, stride=2)), 64),
    "upsample": images(nn.Upsample(scale_factor=2, mode="bilinear"), 256),
    "nearest": images(nn.Upsample(scale_factor=2), 256),
    "pad": images(nn.ConstantPad2d(1, 3.0), 144),
    "reflection": images(nn.ReflectionPad2d(1), 144),
    "adaptive": images(nn.AdaptiveAvgPool2d(2), 16),
    "adaptive_max": images(nn.AdaptiveMaxPool2d(2), 16),
    "lp_pool": images(nn.LPPool2d(2, 2), 16),
    "global_max": images(Net(lambda n, x: x.amax((2, 3))), 4),
    "global_max_with_axes": images(Net(lambda n, x: x.amax((2, 3), keepdim=True)), 4),
    "max_of_axis": images(Net(lambda n, x: x.flatten(2).max(-1).values), 4),
    "dropout": images(nn.Dropout2d(), 64),
    "tied": vector(lambda n, x: functional.linear(n.f(x).relu(), n.f.weight.mT), f=linear()),
    "embedding": tokens(
        lambda n, x: n.f(n.e(x.long()).flatten(1)), e=nn.Embedding(5, 2), f=linear(6, 3)
    ),
    "autograd_function": vector(lambda n, x: Doubled.apply(n.f(x)), f=linear()),
}

# Operations that are not understood: nothing that matters is missed.
UNKNOWN = {
    "bag": tokens(lambda n, x: n.f(n.e(x.long())), e=nn.EmbeddingBag(5, 2), f=linear(2, 3)),
    "table_lookup": tokens(lambda n, x: n.e[x.long()].flatten(1), e=weight(5, 2)),
    **{
        kind.__name__: (
            Net(
                lambda n, x: n.f(n.r(x.unflatten(1, (2, 2)))[0].flatten(1)),
                r=kind(2, 3, batch_first=True, bias=False),
                f=linear(6, 2),
            ),
            (4,),
        )
        for kind in (nn.GRU, nn.LSTM, nn.RNN)
    },
    "gru_cell": (
        Net(lambda n, x: n.f(n.r(x)), r=nn.GRUCell(4, 3, bias=False), f=linear(3, 2)),
        (4,),
    ),
    "attention": (
        Net(
            attention,
            first=linear(),
            attention=nn.MultiheadAttention(2, 1, bias=False, batch_first=True),
            last=linear(4, 2),
        ),
        (4,),
    ),
    "encoder": (
        Net(
            lambda n, x: n.last(n.layer(n.first(x).unflatten(1, (2, 2))).flatten(1)),
            first=linear(),
            layer=nn.TransformerEncoderLayer(2, 1, 4, bias=False, batch_first=True),
            last=linear(4, 2),
        ),
        (4,),
    ),
    "cosine": (
        Net(
            lambda n, x: functional.cosine_similarity(n.f(x)[..., None], n.g[None]),
            f=linear(),
            g=weight(4, 3),
        ),
        (4,),
    ),
    "distances": (Net(lambda n, x: torch.cdist(n.f(x), n.g), f=linear(), g=weight(3, 4)), (4,)),
    "top": vector(lambda n, x: x.topk(2, dim=1).values.repeat(1, 2)),
    "sort": vector(lambda n, x: x.sort(dim=1).values),
    "computed_index": vector(lambda n, x: x.gather(1, (x > 0).long())),
    "cumulative_product": vector(lambda n, x: n.f(x).cumprod(1), f=linear()),
    "bicubic": images(nn.Upsample(scale_factor=2, mode="bicubic"), 256),
    "local_response": images(nn.LocalResponseNorm(2), 64),
    "fft": vector(lambda n, x: torch.fft.rfft(x).real.repeat(1, 2)[:, :4]),
    "early_exit": (Net(early_exit, first=linear(4, 2), second=linear(4, 2)), (4,)),
    "number": (Net(by_number, first=linear(4, 2)), (4,)),
    "vmap": vector(lambda n, x: torch.vmap(lambda row: n.f.weight @ row)(x), f=linear()),
}


# Products of computed values depend on all; that one of them is always 0 is not seen.
def write_into_constant(n, x):
    h = n.w.repeat(len(x), 1)
    h[:, :2].copy_(x[:, :2])
    return functional.pad(n.f(x), (3, 0)) + h


GENEROUS = {
    "rms_norm": between(nn.RMSNorm(4)),
    "normalize": vector(lambda n, x: functional.normalize(x)),
    "normalize_residual": vector(lambda n, x: functional.normalize(x).add_(x)),
    "glu": between(nn.GLU(), n_out=2),
    "dilated_max_pool": images(nn.MaxPool2d(2, dilation=3), 4),
    "product": vector(lambda n, x: n.f(x) * n.g(x), f=linear(), g=linear()),
    "part_of_a_constant_written": (Net(write_into_constant, w=weight(1, 4), f=linear(4, 1)), (4,)),
    "own_attention": (
        Net(
            own_attention,
            first=linear(),
            query=linear(2, 2),
            key=linear(2, 2),
            value=linear(2, 2),
            last=linear(4, 2),
        ),
        (4,),
    ),
}


def inputs_of(kind, rng, n_rows=6):
    if kind == "tokens":
        return rng.randint(5, size=(n_rows, 3)).astype("float32")
    return rng.randn(n_rows, *kind).astype("float32")


def influences(net, mask, kind, n_draws=4):
    """Find the inputs whose change changes an output, and the kept weights that change how.

    Biases are 0.
    """
    net = net.eval()
    rng = np.random.RandomState(1)
    matters = {name: torch.zeros(kept.shape, dtype=torch.bool) for name, kept in mask.items()}
    support = torch.zeros(inputs_of(kind, rng, 1).shape[1:], dtype=torch.bool)
    for _ in range(n_draws):
        state = {
            name: torch.tensor(rng.uniform(0.5, 1.5, p.shape) * rng.choice([-1, 1], p.shape))
            * (1 if p.ndim > 1 else name.rpartition(".")[2] not in ("b", "bias"))
            for name, p in net.named_parameters()
        }
        state = {n: p.requires_grad_() for n, p in mask.apply(state).items()}
        buffers = {n: b.double() if b.is_floating_point() else b for n, b in net.named_buffers()}

        def compute(X, values=state | buffers):
            return torch.func.functional_call(net, values, (X,))

        X, others = (torch.from_numpy(inputs_of(kind, rng)).double() for _ in range(2))
        outputs = compute(X)
        factors = torch.from_numpy(rng.randn(*outputs.shape))
        gradients = torch.autograd.grad(
            ((outputs - compute(others)) * factors).sum(),
            [state[n] for n in mask],
            allow_unused=True,
        )
        for name, gradient in zip(mask, gradients, strict=True):
            if gradient is not None:
                matters[name] |= (gradient.abs() > 1e-9) & mask[name]
        for index in np.ndindex(*support.shape):
            changed = X.clone()
            changed[:, *index] = others[:, *index]
            support[index] |= bool((compute(changed) - outputs).abs().max() > 1e-9)
    return TicketMask(matters), support.numpy()


def random_mask(net, seed):
    rng = np.random.RandomState(seed)
    full = TicketMask.ones_like(net)
    return TicketMask({name: rng.rand(*kept.shape) < 0.45 for name, kept in full.items()})


def case(cases):
    return pytest.mark.parametrize(
        ("net", "kind"),
        [c if isinstance(c, tuple) else (c, (4,)) for c in cases.values()],
        ids=list(cases),
    )


@pytest.mark.parametrize("seed", [0, 1])
@case(EXACT)
def test_paths_are_what_influences_the_outputs(net, kind, seed):
    mask = random_mask(net, seed)
    effective, support = influences(net, mask, kind)
    X = inputs_of(kind, np.random.RandomState(2))
    assert mask.effective(net, X) == effective
    np.testing.assert_array_equal(mask.input_support(net, X), support)
    assert not trace_paths(net, mask, X).unknown


@pytest.mark.parametrize("seed", [0, 1])
@case(UNKNOWN | GENEROUS)
def test_no_path_is_missed_where_operations_are_not_understood(net, kind, seed, request):
    mask = random_mask(net, seed)
    effective, support = influences(net, mask, kind)
    X = inputs_of(kind, np.random.RandomState(2))
    assert mask.effective(net, X) | effective == mask.effective(net, X)
    assert (mask.input_support(net, X) >= support).all()
    assert bool(trace_paths(net, mask, X).unknown) == (net in [c[0] for c in UNKNOWN.values()])
