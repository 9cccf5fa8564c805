"""Analyses of planted networks and fitted pruners, and displays of the results.

How well is a ticket hidden (`detectability`)? What is left of a network, and what does it cost
(`ticket_report`, `effective_paths`, ...)? Why does a ticket win: are two solutions connected
(`linear_mode_connectivity`), is training stable (`instability_analysis`), and do the rounds of
a pruner find the same solution again (`round_connectivity`)?

Displays of your own can use the style of those here: `Display`, `styles`, `tidy`, ...
"""

from sklearn_tickets.inspection._anatomy import (
    critical_compression,
    effective_nodes,
    effective_paths,
    gradient_flow,
    sparse_flops,
)
from sklearn_tickets.inspection._connectivity import ConnectivityDisplay, linear_mode_connectivity
from sklearn_tickets.inspection._detectability import DetectabilityDisplay, detectability
from sklearn_tickets.inspection._instability import InstabilityDisplay, instability_analysis
from sklearn_tickets.inspection._layer_density import LayerDensityDisplay
from sklearn_tickets.inspection._line import ModeConnectivity
from sklearn_tickets.inspection._report import ticket_report
from sklearn_tickets.inspection._rounds import RoundConnectivity, round_connectivity
from sklearn_tickets.inspection._rounds_display import RoundsDisplay
from sklearn_tickets.inspection._sparsity_curve import SparsityCurveDisplay
from sklearn_tickets.inspection._style import (
    FAINT,
    INK,
    Display,
    add_legend,
    draw_ticket,
    styles,
    tidy,
)
from sklearn_tickets.inspection._ticket_mask_display import TicketMaskDisplay

__all__ = [
    "FAINT",
    "INK",
    "ConnectivityDisplay",
    "DetectabilityDisplay",
    "Display",
    "InstabilityDisplay",
    "LayerDensityDisplay",
    "ModeConnectivity",
    "RoundConnectivity",
    "RoundsDisplay",
    "SparsityCurveDisplay",
    "TicketMaskDisplay",
    "add_legend",
    "critical_compression",
    "detectability",
    "draw_ticket",
    "effective_nodes",
    "effective_paths",
    "gradient_flow",
    "instability_analysis",
    "linear_mode_connectivity",
    "round_connectivity",
    "sparse_flops",
    "styles",
    "ticket_report",
    "tidy",
]
