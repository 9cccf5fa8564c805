"""`to_onnx`: write a network to a file that programs without Python can run."""

import importlib
import json
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sklearn_tickets._files import atomic_write
from sklearn_tickets._network import TRACING, check_same_outputs, with_plain_weights
from sklearn_tickets.export._compact import compact_source
from sklearn_tickets.export._readout import Readout, as_tensors
from sklearn_tickets.export._sparse_linear import SparseLinear

Output: TypeAlias = Literal["raw", "probabilities", "labels"]

# From a single sample the exporter infers that the number of samples is always one.
_N_SAMPLES = 3


@torch.no_grad()
def to_onnx(
    network: Any,
    path: str | os.PathLike[str],
    X: Any = None,
    *,
    outputs: Output | Sequence[Output] = "raw",
) -> None:
    """Write a network as an ONNX file, for ONNX Runtime and other inference engines.

    The file has one input, ``"X"``, and one output for each name in `outputs`. It accepts any
    number of samples. Of a classifier, its metadata has the entry ``"classes"``: ``classes_``, as
    JSON.

    Parameters
    ----------
    network : fitted pruner, Pipeline, search or torch.nn.Module
        Of a pruner, alone, at the end of a pipeline or inside a fitted search, the compact network
        is written, without the other steps of the pipeline. A module is written as it is, in
        evaluation mode. Neither is changed.
    path : path-like
        The file. An existing file is replaced atomically.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...), default=None
        Inputs of `network`; one row is enough. The file is compared with the network on them. For
        a module they are required: they give the shape and, unless they are floating-point
        numbers, the dtype of the inputs. A pruner reads float32 inputs of the shape that it was
        fitted to; if X is None, these are drawn at random.
    outputs : {"raw", "probabilities", "labels"} or sequence of them, default="raw"
        What the file computes, of which regressors and modules have ``"raw"`` only:

        - ``"raw"``: what `network` returns, float32 of shape (n_samples, n_outputs): the
          regression outputs, or the logits of the classes in the order of ``classes_``. Those of
          an untrained ticket are multiplied by ``output_scale_`` and divided by
          ``temperature_``, as in ``predict``. The outputs of a module keep their shape and dtype.
        - ``"probabilities"``: those of ``predict_proba``, float32 of shape
          (n_samples, n_classes).
        - ``"labels"``: those of ``predict``, strings, int64 for integers, or of the dtype of
          ``classes_``; of shape (n_samples,), or (n_samples, n_labels) if there are several.

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
        If `outputs` has an unknown name, or asks for labels or probabilities of what is no
        classifier or of one whose net implies no probabilities. If `network` is a module and `X`
        is None, the network does not return exactly one tensor with a row per sample, PyTorch
        cannot export it or the net's ``predict_nonlinearity``, for example a `SparseLinear`, a
        layer has forward hooks or a forward of its own, or ONNX Runtime (the reference evaluator
        of onnx, if that is not installed) computes other outputs.

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
    >>> to_onnx(pruner, "ticket.onnx", outputs=("labels", "probabilities"))  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession("ticket.onnx")  # doctest: +SKIP
    >>> X = planted.X.astype("float32")  # doctest: +SKIP
    >>> labels, probabilities = session.run(None, {"X": X})  # doctest: +SKIP
    >>> session.get_modelmeta().custom_metadata_map["classes"]  # doctest: +SKIP
    '[0, 1, 2, 3]'
    """
    if not (find_spec("onnx") and find_spec("onnxscript")):
        raise ImportError("to_onnx needs onnx and onnxscript; pip install 'sklearn-tickets[onnx]'")
    with atomic_write(path) as partial:
        partial.write_bytes(_export(network, X, outputs).SerializeToString())


def _export(network: Any, X: Any, outputs: Output | Sequence[Output]) -> Any:
    """Convert a network to an ONNX model, and check its outputs."""
    names = _output_names(outputs)
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
    classes = getattr(source.pruner, "classes_", None)
    if classes is None and names != ["raw"]:
        raise ValueError(
            f"outputs={outputs!r}, but {source.name} is not that of a fitted classifier; write "
            "outputs='raw', all that a regressor or a module has."
        )
    name = source.name
    if source.pruner is not None:
        module, original = (
            Readout(each, source.pruner, names).eval() for each in (module, original)
        )
        original.check(rows, name)
        nonlinearity = source.pruner.estimator_.predict_nonlinearity
        if "probabilities" in names and callable(nonlinearity):
            name += f" with predict_nonlinearity={nonlinearity!r}"
    # While it exports, PyTorch replaces how all modules of the process are called.
    with TRACING:
        proto = _convert(module, rows[:_N_SAMPLES].clone(), name, names)
    if classes is not None:
        _write_classes(proto, classes)
    run = _runner(proto)
    check_same_outputs(
        original, lambda rows: as_tensors(run(rows), classes), rows, (source.name, "The file")
    )
    return proto


def _output_names(outputs: Output | Sequence[Output]) -> list[str]:
    """List the names of the outputs, and check them."""
    names, known = np.atleast_1d(outputs).tolist(), get_args(Output)
    if not names or any(name not in known for name in names) or len({*names}) < len(names):
        raise ValueError(
            f"outputs={outputs!r} must be one of {', '.join(map(repr, known))}, or a sequence of "
            "different ones, such as ('labels', 'probabilities')."
        )
    return names


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


def _convert(module: nn.Module, samples: Tensor, name: str, outputs: Sequence[str]) -> Any:
    """Convert a module to an ONNX model of one input, and of outputs with the given names."""
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
                output_names=["codes" if each == "labels" else each for each in outputs],
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


def _write_classes(proto: Any, classes: NDArray[Any]) -> None:
    """Write the class labels into the metadata, and look them up by the class numbers."""
    onnx = importlib.import_module("onnx")
    proto.metadata_props.add(key="classes", value=json.dumps(classes.tolist()))
    for output in proto.graph.output:
        if output.name == "codes":
            labels = classes.astype(np.int64) if classes.dtype.kind in "iu" else classes
            table = onnx.numpy_helper.from_array(labels, "classes")
            proto.graph.initializer.append(table)
            proto.graph.node.append(
                onnx.helper.make_node("Gather", ["classes", "codes"], ["labels"])
            )
            output.name, output.type.tensor_type.elem_type = "labels", table.data_type


def _runner(proto: Any) -> Callable[[Tensor], dict[str, NDArray[Any]]]:
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
    names = [output.name for output in proto.graph.output]
    return lambda rows: dict(zip(names, session.run(None, {"X": rows.numpy()}), strict=True))
