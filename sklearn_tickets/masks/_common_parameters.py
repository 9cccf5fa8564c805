"""`common_parameters`: the parameters that two masks share."""

from sklearn_tickets.masks._ticket_mask import TicketMask


def common_parameters(mask_true: TicketMask, mask_pred: TicketMask) -> list[str]:
    """List the parameters that both masks cover, in the order of `mask_true`.

    Parameters
    ----------
    mask_true, mask_pred : TicketMask
        The masks.

    Returns
    -------
    names : list of str
        Parameter names, at least one.

    Raises
    ------
    TypeError
        If a mask is not a TicketMask.
    ValueError
        If they share no name, or a shared parameter has different shapes.
    """
    for argument, mask in {"mask_true": mask_true, "mask_pred": mask_pred}.items():
        if not isinstance(mask, TicketMask):
            raise TypeError(f"{argument} must be a TicketMask; got {mask!r}.")
    names = [name for name in mask_true if name in mask_pred]
    if not names:
        raise ValueError(
            "The masks have no parameter in common: mask_true covers "
            f"{', '.join(mask_true)}; mask_pred covers {', '.join(mask_pred)}."
        )
    for name in names:
        shapes = tuple(mask_true[name].shape), tuple(mask_pred[name].shape)
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"The masks belong to different networks: {name!r} has shape {shapes[0]} in "
                f"mask_true and {shapes[1]} in mask_pred."
            )
    return names
