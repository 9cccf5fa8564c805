"""`to_onnx`: write a network to a file that programs without Python compute with."""

import copy
import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sklearn_tickets._network import as_tensor, plain_module
from sklearn_tickets.export._compact import compact
from sklearn_tickets.export._sparse_linear import SparseLinear


def to_onnx(network: Any, path: str | os.PathLike[str], X: Any = None) -> None:
    """Write a network as an ONNX file, which ONNX Runtime and others compute with.

    The file has one input, ``"X"``, and one output, ``"outputs"``: regression outputs, or the
    logits of classes in the order of ``classes_``, no probabilities. Any number of samples may
    be read at a time.

    Parameters
    ----------
    network : fitted pruner or torch.nn.Module
        Of a pruner, its compact network is written; a module as it is, in evaluation mode.
        Neither is changed.
    path : path-like
        The file. An existing one is replaced at once or not at all.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
        Inputs of a module, of which one row tells shape and, unless these are floating-point
        numbers, dtype. A pruner knows its inputs: float32, of the shape it was fitted to.

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
        If a module is given without `X`, returns anything but one tensor, or cannot be exported
        by PyTorch, as is `SparseLinear`.

    See Also
    --------
    compact : Leaves units out; of a module, write ``to_onnx(compact(module), path, X)``.

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
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} is in no existing folder; make it first.")
    if isinstance(network, nn.Module):
        if X is None:
            raise ValueError(
                "X=None: a module does not tell the shape of its inputs; pass X, a row of them."
            )
        module = copy.deepcopy(plain_module(network)).eval().cpu()
    else:
        module = compact(network).cpu()
        X = np.zeros((1, *network.input_support_.shape), np.float32)
    if any(isinstance(layer, SparseLinear) for layer in module.modules()):
        raise ValueError(
            "ONNX knows no SparseLinear: write compact(network), not to_sparse(network)."
        )
    dtype = as_tensor(X).dtype
    if dtype.is_floating_point:
        dtype = next((parameter.dtype for parameter in module.parameters()), dtype)
    # Of a single sample the exporter believes that there is never another number of them.
    samples = torch.zeros(3, *np.shape(X)[1:], dtype=dtype)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        # What PyTorch tells itself: which of its operations it has no use for, and what to rename.
        logger.setLevel(logging.ERROR)
        with torch.no_grad():
            module(samples)  # its errors are easier to read than those of an export
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
            f"network must return one tensor, a row for each sample; {type(module).__name__} "
            "returns something else."
        )
    for part in (*graph.node, *graph.value_info, *graph.input):
        part.ClearField("metadata_props")  # which line of whose code it comes from
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(proto.SerializeToString())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
