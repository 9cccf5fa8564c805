"""Helpers that read what is drawn on axes."""

import numpy as np
from matplotlib.colors import to_hex


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line_of(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return line


def hollow_points(ax):
    """Return the positions of points with a white face."""
    hollow = [line for line in ax.get_lines() if line.get_markerfacecolor() == "white"]
    return np.concatenate([line.get_xydata() for line in hollow]).tolist()


def twenty_colors_and_markers(ax):
    handles = ax.get_legend().legend_handles
    return {(to_hex(line.get_color()), line.get_marker()) for line in handles[:20]}
