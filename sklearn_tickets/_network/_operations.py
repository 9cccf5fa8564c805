"""What torch's operations do to a flow: the kind of each, by its name.

The name is the function's without underscores at its ends, so that ``relu``, ``Tensor.relu_``
and ``functional.relu`` are one, and ``+`` and ``+=`` are ``add`` and ``iadd``.
"""

from collections.abc import Callable
from typing import Any

_NAMES = {
    # The input itself, entry by entry; with several inputs, each may change the result.
    "elementwise": """
        relu relu6 leaky_relu rrelu elu selu celu gelu silu mish softplus softsign logsigmoid
        log_sigmoid tanhshrink tanh sigmoid special_expit threshold hardtanh hardsigmoid hardswish
        hardshrink softshrink dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout
        feature_alpha_dropout abs absolute neg negative pos positive exp exp2 expm1 log log2 log10
        log1p sqrt rsqrt square reciprocal rdiv rtruediv sin cos tan asin acos atan sinh cosh
        asinh acosh atanh erf erfc sign sgn floor ceil round trunc frac nan_to_num clamp clamp_min
        clamp_max clip logit sinc isnan isinf isfinite logical_not bitwise_not invert to type
        type_as float double half bfloat16 int long bool clone contiguous detach cpu cuda
        requires_grad add iadd radd sub subtract rsub isub maximum minimum fmax fmin atan2 hypot
        fmod remainder pow ipow rpow float_power copysign eq ne lt le gt ge not_equal less
        less_equal greater greater_equal logical_and logical_or logical_xor and or xor copy""",
    # Its slopes are added like biases, one for each channel.
    "prelu": "prelu",
    # Entries moved, repeated, or added up with weights that are not negative.
    "move": """
        get view reshape view_as reshape_as ravel flatten unflatten permute transpose t swapaxes
        swapdims moveaxis movedim squeeze unsqueeze expand expand_as broadcast_to
        broadcast_tensors repeat repeat_interleave tile roll flip fliplr flipud rot90 select narrow
        chunk split hsplit vsplit dsplit tensor_split split_with_sizes unbind cat concat concatenate
        stack hstack vstack dstack column_stack pixel_shuffle pixel_unshuffle channel_shuffle
        native_channel_shuffle unfold fold sum mean cumsum avg_pool1d avg_pool2d avg_pool3d
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d upsample_nearest
        upsample_bilinear diagonal diag_embed tril triu""",
    # Entries at given positions: moved, unless the positions themselves are computed.
    "pick": "getitem index_select gather take_along_dim",
    "choose": "where masked_fill",
    "pad": "pad",
    "interpolate": "interpolate upsample",
    # Products of two or more arguments, linear in each.
    "multiply": "mul multiply imul rmul",
    "divide": "div divide true_divide truediv idiv itruediv",
    "contract": "matmul rmatmul mm bmm mv dot inner outer ger tensordot einsum kron",
    "affine": """
        linear bilinear conv1d conv2d conv3d conv_transpose1d conv_transpose2d
        conv_transpose3d""",
    "gate": "glu",
    "pool": """
        max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d
        adaptive_max_pool3d lp_pool1d lp_pool2d lp_pool3d""",
    "normalize_units": "batch_norm instance_norm layer_norm group_norm rms_norm",
    # Along an axis, each result depends on all entries.
    "mix": "softmax log_softmax softmin normalize",
    "maximum_along": "amax max",
    "reduce": "amin min logsumexp std var prod all any argmax argmin median norm",
    "embed": "embedding",
    "assign": "setitem",
    # Only the shape of the argument matters.
    "create": """
        zeros_like ones_like full_like rand_like randn_like empty_like new_zeros new_ones new_full
        new_empty""",
}
KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def operation_name(func: Callable[..., Any]) -> str:
    """Return the name under which torch's own functions are listed in `KINDS`.

    Parameters
    ----------
    func : callable
        A function of torch, a method of tensors, or an operator of a library.

    Returns
    -------
    name : str
        An operator of another library keeps its full name.
    """
    owner = getattr(func, "__module__", None) or "torch"
    name = getattr(func, "__name__", repr(func)).strip("_").removesuffix(".default")
    foreign = not owner.startswith("torch") or owner.startswith("torch._ops")
    return f"{owner}.{name}" if foreign and owner != "torch._ops.aten" else name
