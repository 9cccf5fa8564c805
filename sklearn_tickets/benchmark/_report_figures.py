"""Figures of a report: plots as SVG that takes its colors and fonts from the page around it."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Affine2D

from sklearn_tickets.benchmark._seek_display import SeekDisplay
from sklearn_tickets.inspection import FAINT, INK, styles, tidy

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# The page defines these properties, with other colors for dark screens.
SERIES = {f"--c{i}": color for i, (color, _, _) in styles(range(10)).items()}
_PROPERTIES = {color: name for name, color in SERIES.items()}
_PROPERTIES |= {INK: "--ink", "#000000": "--ink", FAINT: "--rule", "#ffffff": "--paper"}
_DECIMALS = re.compile(r"(\d\.\d)\d+")
_DASHES = {"--": "5 3", "-.": "6 2 1.5 2", ":": "1.5 2.5"}


class Key(NamedTuple):
    """An entry of a legend: its text, and the drawing beside it."""

    text: str
    svg: Markup


class Plot(NamedTuple):
    """A plot as SVG, with its legend."""

    svg: Markup
    legend: list[Key]


def curve_plot(runs: pd.DataFrame, name: str) -> Plot | None:
    """Plot the quality after training of the methods of one problem against density.

    Parameters
    ----------
    runs : DataFrame
        The rows of one problem of the result of `merge_repeats`.
    name : str
        What identifiers in the SVG begin with.

    Returns
    -------
    plot : Plot or None
        What `SeekDisplay` draws; None if no method has a result that can be drawn.
    """
    runs = _drawable(runs)
    if runs["is_reference"].all():
        return None
    # The densities of planted tickets may differ between seeds.
    densities = runs.groupby(["is_reference", "level"])["density"].transform("median")
    table = runs.assign(pruner=runs["name"], density=densities)
    ax = SeekDisplay(table).plot(_axes()).ax_
    ax.set_title("")
    legend = ax.get_legend()
    assert legend is not None
    legend.remove()
    texts = [text.get_text() for text in legend.get_texts()]
    return _finish(ax, dict(zip(texts, legend.legend_handles, strict=True)), name)


def cost_plot(costs: pd.DataFrame, summary: pd.DataFrame, name: str) -> Plot | None:
    """Plot the quality after training of the methods of one problem against their seconds.

    Parameters
    ----------
    costs : DataFrame
        The result of `costs`.
    summary : DataFrame
        The rows of this problem of the result of `medians`.
    name : str
        What identifiers in the SVG begin with.

    Returns
    -------
    plot : Plot or None
        A point for each method, which is small if it is single-shot and hollow if most networks
        collapsed; a line through those that no faster one equals; and the quality of the
        planted ticket. None if there are no points.
    """
    costs, summary = _drawable(costs), _drawable(summary)
    if costs.empty:
        return None
    ax = _axes()
    style_of = styles(summary.loc[~summary["is_reference"], "name"])
    row: Any
    for row in costs.itertuples():
        color, marker, _ = style_of[row.name]
        size = 5 if row.mode == "single" else 8
        face = "white" if row.n_collapsed > row.n_seeds / 2 else color
        ax.plot(row.seconds, row.weak, marker, color=color, mfc=face, ms=size, zorder=3)
    entries: dict[str, Artist] = {
        text: Line2D([], [], color=color, marker=marker, linestyle="")
        for text, (color, marker, _) in style_of.items()
        if (costs["name"] == text).any()
    }
    best = costs[costs["is_best"]]
    (front,) = ax.step(best["seconds"], best["weak"], where="post", color=INK, lw=1, zorder=2)
    entries["no faster method is as good"] = front
    if (costs["mode"] == "single").any():
        entries["small: single-shot"] = Line2D([], [], color=INK, marker="o", ls="", ms=4)
    entries["collapsed"] = Line2D([], [], color=INK, marker="o", mfc="white", ls="")
    is_planted = summary["is_reference"] & (summary["method"] == "planted")
    for quality in summary.loc[is_planted, "weak"]:
        entries["planted ticket, trained"] = ax.axhline(quality, color=INK, ls="--", lw=1)
    metric = costs["metric"].iloc[0]
    ax.set_xscale("log")
    if metric == "mse":
        ax.set_yscale("log")
    tidy(ax)
    ax.set_xlabel("seconds of the fit")
    return _finish(ax, entries, name)


def _drawable(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose quality has a place on its axis, which is logarithmic for errors."""
    has_place = np.isfinite(rows["weak"]) & ((rows["weak"] > 0) | (rows["metric"] != "mse"))
    return rows[has_place]


def _axes() -> "Axes":
    """Make axes for a plot that is half a page wide."""
    return Figure(figsize=(4.6, 3.3), layout="constrained").subplots()


def _finish(ax: "Axes", entries: Mapping[str, "Artist | None"], name: str) -> Plot:
    """Write the plot as SVG, and its legend beside it."""
    ax.set_ylabel("")  # the heading says it in letters that do not shrink
    for axis in (ax.xaxis, ax.yaxis):
        # Labels with exponents above the line could not take the font of the page.
        if axis.get_scale() == "log" and not isinstance(axis.get_major_locator(), FixedLocator):
            low, high = axis.get_view_interval()
            subs = (1,) if high > 100 * low else (1, 2, 5)
            axis.set_major_locator(LogLocator(subs=subs) if high > 3 * low else MaxNLocator(5))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    assert isinstance(ax.figure, Figure)
    file = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        ax.figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    root = ElementTree.fromstring(file.getvalue())
    keys = [Key(text, _swatch(handle)) for text, handle in entries.items()]
    return Plot(_inline(root, name), keys)


def _inline(root: ElementTree.Element, name: str) -> Markup:
    """Rewrite an SVG document as a short element of an HTML page, without addresses."""
    used = re.findall(r'href="#([^"]+)"', ElementTree.tostring(root, encoding="unicode"))
    ids = {old: f"{name}-{i}" for i, old in enumerate(dict.fromkeys(used))}

    def rewrite(element: ElementTree.Element) -> list[ElementTree.Element]:
        tag = element.tag.split("}")[-1]
        attributes = {}
        for key, value in element.items():
            key = key.split("}")[-1]
            if key == "id":
                value = ids.get(value, "")
            elif key == "href":
                value = f"#{ids[value[1:]]}"
            elif key == "style":
                value = _style(value)
            elif key in ("d", "x", "y", "transform"):
                value = _shorten(value)
            # Axes hold all that is drawn, so that nothing has to be clipped.
            if key != "clip-path" and value and not value.startswith("rotate(-0 "):
                attributes[key] = value
        children = [new for child in element for new in rewrite(child)]
        if tag in ("style", "clipPath") or attributes.get("style") == "fill:none":
            return []
        if tag == "g" and not attributes:
            return children
        copy = ElementTree.Element(tag, attributes)
        copy.text = element.text and element.text.strip()
        copy.extend(children)
        return [copy]

    (svg,) = rewrite(root)
    svg.attrib = {"viewBox": root.attrib["viewBox"], "aria-hidden": "true"}
    return Markup(ElementTree.tostring(svg, encoding="unicode"))


def _shorten(numbers: str) -> str:
    """Round the numbers of a path or transformation to decimals of a point."""
    rounded = " ".join(_DECIMALS.sub(r"\1", numbers).split())
    return re.sub(r" ?([A-Za-z]) ?", r"\1", rounded.replace(".0 ", " "))


def _style(style: str) -> str:
    """Replace the colors of a style by properties of the page, and leave the font to it."""
    parts = [part.strip() for part in style.split(";")]
    kept = ";".join(part.replace(": ", ":") for part in parts if "font-family" not in part)
    for color, prop in _PROPERTIES.items():
        kept = kept.replace(color, f"var({prop})")
    return kept


def _swatch(handle: Any) -> Markup:
    """Draw an entry of a legend: a line, a marker or both."""
    drawing = []
    if isinstance(handle, Line2D):
        color, face = to_hex(handle.get_color()), to_hex(handle.get_markerfacecolor())
        dash = handle.get_linestyle()
        if dash != "None":
            style = _style(f"stroke:{color};stroke-dasharray:{_DASHES.get(str(dash), 'none')}")
            drawing.append(f'<path d="M1 7H29" style="{style};fill:none;stroke-width:1.5"/>')
        marker = MarkerStyle(handle.get_marker())
        paths, size = [marker.get_path().transformed(marker.get_transform())], 8.0
    else:
        color, face = (
            to_hex(colors[0]) for colors in (handle.get_edgecolors(), handle.get_facecolors())
        )
        paths, size = handle.get_paths(), 13.0
    place = Affine2D().scale(size, -size).translate(15, 7)
    for corners in (xy for path in paths for xy in path.transformed(place).to_polygons()):
        d = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in np.asarray(corners)) + "Z"
        drawing.append(f'<path d="{d}" style="{_style(f"stroke:{color};fill:{face}")}"/>')
    return Markup(f'<svg viewBox="0 0 30 14" aria-hidden="true">{"".join(drawing)}</svg>')
