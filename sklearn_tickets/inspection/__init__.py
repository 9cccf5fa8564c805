"""Looking into planted networks and fitted pruners: analyses, and displays of them.

How well is a ticket hidden (`detectability`)? What is left of the network, and what does it cost
(`ticket_report`, `effective_paths`, ...)? And why does it win: are two solutions connected
(`linear_mode_connectivity`), is the training stable (`instability_analysis`), and do the rounds of
a pruner find the same solution again (`round_connectivity`)?
"""

from sklearn_tickets.inspection._anatomy import (
    critical_compression,
    effective_nodes,
    effective_paths,
    gradient_flow,
    sparse_flops,
)
from sklearn_tickets.inspection._connectivity import (
    ConnectivityDisplay,
    ModeConnectivity,
    linear_mode_connectivity,
)
from sklearn_tickets.inspection._detectability import DetectabilityDisplay, detectability
from sklearn_tickets.inspection._instability import InstabilityDisplay, instability_analysis
from sklearn_tickets.inspection._layer_density import LayerDensityDisplay
from sklearn_tickets.inspection._report import ticket_report
from sklearn_tickets.inspection._rounds import (
    RoundConnectivity,
    RoundsDisplay,
    round_connectivity,
)
from sklearn_tickets.inspection._sparsity_curve import SparsityCurveDisplay
from sklearn_tickets.inspection._ticket_mask_display import TicketMaskDisplay

__all__ = [
    "ConnectivityDisplay",
    "DetectabilityDisplay",
    "InstabilityDisplay",
    "LayerDensityDisplay",
    "ModeConnectivity",
    "RoundConnectivity",
    "RoundsDisplay",
    "SparsityCurveDisplay",
    "TicketMaskDisplay",
    "critical_compression",
    "detectability",
    "effective_nodes",
    "effective_paths",
    "gradient_flow",
    "instability_analysis",
    "linear_mode_connectivity",
    "round_connectivity",
    "sparse_flops",
    "ticket_report",
]
