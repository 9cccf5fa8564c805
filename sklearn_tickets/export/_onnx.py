"""`to_onnx`: write a network to a file that programs without Python can run."""

import importlib
import logging
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from sklearn_tickets._files import atomic_write
from sklearn_tickets._network import TRACING, check_same_outputs, with_plain_weights
from sklearn_tickets.export._compact import compact_source
from sklearn_tickets.export._sparse_linear import SparseLinear

# From a single sample the exporter infers that the number of samples is always one.
_N_SAMPLES = 3


@torch.no_grad()
def to_onnx(network: Any, path: str | os.PathLike[str], X: Any = None) -> None:
    """Write a network as an ONNX file, for ONNX Runtime and other inference engines.

    The file has one input, ``"X"``, and one output, ``"outputs"``: the regression outputs, or the
    logits (not probabilities) of the classes in the order of ``classes_``. It accepts any number
    of samples.

    Parameters
    ----------
    network : fitted pruner, Pipeline, search or torch.nn.Module
        Of a pruner, alone, at the end of a pipeline or inside a fitted search, the compact network
        is written, without the other steps of the pipeline. A module is written as it is, in
        evaluation mode. Neither is changed. The outputs of an untrained ticket are not
        multiplied by the pruner's ``output_scale_``.
    path : path-like
        The file. An existing file is replaced atomically.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
        Inputs of `network`; one row is enough. The file is compared with the network on them. For
        a module they are required: they give the shape and, unless they are floating-point
        numbers, the dtype of the inputs. A pruner reads float32 inputs of the shape that it was
        fitted to; if X is None, these are drawn at random.

    Raises
    ------
    ImportError
        If onnx or onnxscript is not installed.
    FileNotFoundError
        If the folder does not exist.
    NotFittedError
        If the pruner is not fitted.
    TypeError
        If `network` contains no pruner and is no module.
    ValueError
        If `network` is a module and `X` is None, the network does not return exactly one tensor
        with a row per sample, PyTorch cannot export it, for example a `SparseLinear`, a layer has
        forward hooks or a forward of its own, or ONNX Runtime (the reference evaluator of onnx,
        if that is not installed) computes other outputs.

    See Also
    --------
    compact : Removes units; for a module, call ``to_onnx(compact(module), path, X)``.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> from sklearn_tickets.export import to_onnx
    >>> planted = PlantedTicketGenerator(random_state=0).generate(100)
    >>> pruner = MagnitudePruner(planted.make_net(max_epochs=1), random_state=0)
    >>> pruner = pruner.fit(planted.X, planted.y)
    >>> to_onnx(pruner, "ticket.onnx")  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("ticket.onnx")  # doctest: +SKIP
    >>> (logits,) = session.run(None, {"X": planted.X.astype("float32")})  # doctest: +SKIP
    """
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise ImportError("to_onnx needs onnx and onnxscript; pip install 'sklearn-tickets[onnx]'")
    with atomic_write(path) as partial:
        partial.write_bytes(_export(network, X).SerializeToString())


def _export(network: Any, X: Any) -> Any:
    """Convert a network to an ONNX model, and check its outputs."""
    if isinstance(network, nn.Module) and X is None:
        raise ValueError(
            "X=None, but the shape of a module's inputs is unknown; pass X, a row of inputs."
        )
    source = compact_source(network, X)
    module = with_plain_weights(source.module, "network").cpu()
    if any(isinstance(layer, SparseLinear) for layer in module.modules()):
        raise ValueError(
            "network has SparseLinear layers, which ONNX does not support; write "
            "compact(network) instead of to_sparse(network)."
        )
    original, rows = source.original.cpu(), source.rows.cpu()
    _check_rows(original, rows)
    # While it exports, PyTorch replaces how all modules of the process are called.
    with TRACING:
        proto = _convert(module, rows[:_N_SAMPLES].clone(), type(original).__name__)
    check_same_outputs(original, _runner(proto), rows, ("network", "The file"))
    return proto


def _check_rows(module: nn.Module, rows: Tensor) -> None:
    """Check that a module returns one row of outputs per row of inputs, also for a single one."""
    for n_samples in (_N_SAMPLES, 1):
        try:
            outputs = module(rows[:n_samples].clone())
            found = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        except Exception as error:
            found = f"an error: {error}"
        if not isinstance(found, tuple) or found[:1] != (n_samples,):
            raise ValueError(
                f"network must return one tensor with one row per sample; for {n_samples} samples "
                f"{type(module).__name__} returns {found}. Instead of squeeze(), write squeeze(-1)."
            )


def _convert(module: nn.Module, samples: Tensor, name: str) -> Any:
    """Convert a module to an ONNX model of one input and one output.

    `name` is what to call it in error messages: a compact module has a class of its own.
    """
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        # PyTorch logs which of its own operations it skips or renames.
        logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            program: Any = torch.onnx.export(
                module,
                (samples,),
                dynamo=True,
                verbose=False,
                input_names=["X"],
                output_names=["outputs"],
                dynamic_shapes=({0: torch.export.Dim("n_samples")},),
            )
    except Exception as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise ValueError(
            f"PyTorch cannot export {name} for inputs of shape (n_samples, "
            f"{', '.join(map(str, samples.shape[1:]))}): {reason}. Check X, and write the forward "
            "without control flow that depends on inputs."
        ) from error
    finally:
        logger.setLevel(level)
    proto = program.model_proto
    graph = proto.graph
    for part in (*graph.node, *graph.value_info, *graph.input):
        part.ClearField("metadata_props")  # the lines of source code, with their paths
    return proto


def _runner(proto: Any) -> Callable[[Tensor], Tensor]:
    """Return a function that runs an ONNX model, in ONNX Runtime if that is installed."""
    try:
        if find_spec("onnxruntime"):
            runtime = importlib.import_module("onnxruntime")
            session = runtime.InferenceSession(
                proto.SerializeToString(), providers=["CPUExecutionProvider"]
            )
        else:
            session = importlib.import_module("onnx.reference").ReferenceEvaluator(proto)
    except Exception as error:
        raise ValueError(
            f"The file cannot be run: {error}. Some types and operations are missing in ONNX "
            "Runtime; network.float() may help."
        ) from error
    return lambda rows: torch.from_numpy(session.run(None, {"X": rows.numpy()})[0])
