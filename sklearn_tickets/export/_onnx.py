"""`to_onnx`: write a network to a file that programs without Python can run."""

import copy
import logging
import os
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_tickets._files import atomic_write
from sklearn_tickets._network import as_tensor, plain_module
from sklearn_tickets.export._compact import compact
from sklearn_tickets.export._sparse_linear import SparseLinear


def to_onnx(network: Any, path: str | os.PathLike[str], X: Any = None) -> None:
    """Write a network as an ONNX file, for ONNX Runtime and other inference engines.

    The file has one input, ``"X"``, and one output, ``"outputs"``: the regression outputs, or the
    logits (not probabilities) of the classes in the order of ``classes_``. It accepts any number
    of samples.

    Parameters
    ----------
    network : fitted pruner or torch.nn.Module
        Of a pruner, the compact network is written. A module is written as it is, in evaluation
        mode. Neither is changed.
    path : path-like
        The file. An existing file is replaced atomically.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
        Inputs of a module; one row is enough. They give the shape and, unless they are
        floating-point numbers, the dtype of the inputs. A pruner does not need them: it reads
        float32 inputs of the shape that it was fitted to.

    Raises
    ------
    ImportError
        If onnx or onnxscript is not installed.
    FileNotFoundError
        If the folder does not exist.
    NotFittedError
        If the pruner is not fitted.
    TypeError
        If `network` is neither a pruner nor a module.
    ValueError
        If `network` is a module and `X` is None, the network does not return exactly one tensor,
        or PyTorch cannot export it, for example a `SparseLinear`.

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
    """Convert a network to an ONNX model, and check its shapes."""
    if isinstance(network, nn.Module):
        if X is None:
            raise ValueError(
                "X=None, but the shape of a module's inputs is unknown; pass X, a row of inputs."
            )
        module = copy.deepcopy(plain_module(network)).eval().cpu()
    else:
        module = compact(network).cpu()
        X = np.zeros((1, *network.input_support_.shape), np.float32)
    if any(isinstance(layer, SparseLinear) for layer in module.modules()):
        raise ValueError(
            "network has SparseLinear layers, which ONNX does not support; write "
            "compact(network) instead of to_sparse(network)."
        )
    dtype = as_tensor(X).dtype
    if dtype.is_floating_point:
        dtype = next((parameter.dtype for parameter in module.parameters()), dtype)
    # From a single sample the exporter infers that the number of samples is always one.
    samples = torch.zeros(3, *np.shape(X)[1:], dtype=dtype)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        # PyTorch logs which of its own operations it skips or renames.
        logger.setLevel(logging.ERROR)
        with torch.no_grad():
            module(samples)  # its errors are easier to read than those of the exporter
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
            f"PyTorch cannot export {type(module).__name__} for inputs of shape (n_samples, "
            f"{', '.join(map(str, samples.shape[1:]))}): {reason}. Check X, and write the forward "
            "without control flow that depends on inputs."
        ) from error
    finally:
        logger.setLevel(level)
    proto = program.model_proto
    graph = proto.graph
    shapes = [value.type.tensor_type.shape.dim for value in (*graph.input, *graph.output)]
    n_rows = [shape[0].dim_param if shape else "" for shape in shapes]
    if n_rows != [n_rows[0]] * 2 or not n_rows[0]:
        raise ValueError(
            f"network must return one tensor with one row per sample; {type(module).__name__} "
            "returns something else."
        )
    for part in (*graph.node, *graph.value_info, *graph.input):
        part.ClearField("metadata_props")  # the lines of source code, with their paths
    return proto
