"""The flow through a network: which paths connect inputs to outputs.

A network of non-negative weights without activation functions is a sum over its
input-to-output paths. Passing a batch of ones through it and differentiating answers two
questions for any architecture: how much flow passes through each parameter (SynFlow's score),
and which parameters lie on a path at all (the effective mask).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from sklearn_tickets._network._connections import Connections
from sklearn_tickets._network._module import evaluating, functional_call
from sklearn_tickets._network._rows import Rows, as_tensor
from sklearn_tickets._network._synaptic_flow import SynapticFlow
from sklearn_tickets._network._traced import Traced, attach


class Flow(NamedTuple):
    """The flow R through a network, and its derivatives.

    Attributes
    ----------
    total : float64 Tensor of shape ()
        The sum of the outputs, R.
    parameters : dict of str to float64 Tensor
        dR / d parameter.
    inputs : float64 Tensor of shape X.shape[1:]
        dR / d input.
    unknown : tuple of str
        The operations of the module that are not understood. Each of their results counts as
        dependent on all arguments.
    """

    total: Tensor
    parameters: dict[str, Tensor]
    inputs: Tensor
    unknown: tuple[str, ...]


@torch.inference_mode(mode=False)
@torch.enable_grad()
def positive_flow(
    module: nn.Module,
    parameters: Mapping[str, Tensor],
    X: Rows,
    kind: type[SynapticFlow] = SynapticFlow,
) -> Flow:
    """Pass ones through `module` with non-negative `parameters`, and differentiate.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    parameters : mapping of str to Tensor
        Non-negative float64 values of some parameters. The others enter with their absolute
        values where they multiply, and not at all where they are added.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        Inputs, of which the first is passed through the module next to the flow. Its values
        count only where the module looks them up or branches on them.
    kind : type of SynapticFlow, default=SynapticFlow
        How the flow passes operations: as SynFlow defines it, linear in the input
        (`LinearFlow`), or so that it only shows what is connected (`Connections`).

    Returns
    -------
    flow : Flow
    """
    rules = kind()
    leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    with evaluating(module), _keeping_attributes(module):
        # In the block, because another thread may call the module with parameters in float64.
        first = next(p for p in module.parameters() if p.is_floating_point())
        state = {name: value.detach().clone() for name, value in module.named_parameters()}
        for name, value in state.items():
            flow = leaves[name] if name in leaves else value.double().abs()
            attach(value, flow, reached=False, rules=rules)
        buffers = {name: value.detach().clone() for name, value in module.named_buffers()}
        row = as_tensor(X[:1]).detach().to(first.device, first.dtype, copy=True)
        ones = torch.ones(row.shape, dtype=torch.float64, device=row.device, requires_grad=True)
        x = row.requires_grad_().clone()
        attach(x, ones.clone(), reached=True, rules=rules)
        output = functional_call(module, state | buffers, x)
        if not isinstance(output, Traced) and output.requires_grad:
            rules.lose("an operation that torch does not dispatch")
        # An output that depends on nothing still has derivatives, of 0.
        total = 0 * ones.sum() + (output.flow.sum() if isinstance(output, Traced) else 0)
    # From here on, only the flow is differentiated: what the network itself computed is let go.
    del state, x, output
    sources = [*leaves.values(), ones]
    try:
        *gradients, inputs = torch.autograd.grad(
            total, sources, allow_unused=True, materialize_grads=True
        )
    except torch.utils.checkpoint.CheckpointError:
        # It runs the forward again without the flow.
        rules.lose("torch.utils.checkpoint")
        *gradients, inputs = sources
    if rules.lost:
        gradients, inputs = [torch.ones_like(g) for g in gradients], torch.ones_like(inputs)
    unknown = tuple(rules.unknown)
    return Flow(total.detach(), dict(zip(leaves, gradients, strict=True)), inputs[0], unknown)


@contextmanager
def _keeping_attributes(module: nn.Module) -> Iterator[None]:
    """Undo what a forward assigns to its layers, which would otherwise keep the traced tensors."""
    before = {layer: dict(vars(layer)) for layer in module.modules()}
    try:
        yield
    finally:
        for layer, attributes in before.items():
            vars(layer).clear()
            vars(layer).update(attributes)


@torch.inference_mode(mode=False)
def trace_paths(module: nn.Module, kept: Mapping[str, Tensor], X: Rows) -> Flow:
    """Find what lies on a path of kept weights from an input to an output.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed. Weights that `kept` does not name are kept.
    kept : mapping of str to bool Tensor
        A mask.
    X : ndarray, Tensor or SparseRows of shape (n_samples, ...)
        Gives the shape of an input. One row suffices.

    Returns
    -------
    flow : Flow
        Its `parameters` are not 0 where a parameter lies on a path to an output, its `inputs`
        where an input reaches one.
    """
    with evaluating(module):
        values = {
            # Dividing by the fan-in keeps the flow of deep, wide networks representable.
            name: (kept[name].to(value.device) if name in kept else torch.ones_like(value))
            .double()
            .div_(max(1, value[0].numel() if value.ndim else 1))
            for name, value in module.named_parameters()
        }
        return positive_flow(module, values, X, Connections)
