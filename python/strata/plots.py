# SPDX-License-Identifier: Apache-2.0
"""Pictures of estimates, drawn with matplotlib where it is installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

if TYPE_CHECKING:
    from .estimate import Estimate

_INK, _GRID = "#22303c", "#d9e0e6"
_COLOURS = ["#2a6f97", "#e07a5f", "#81b29a", "#f2cc8f", "#6d597a", "#b56576", "#355070", "#43aa8b", "#90a955"]


def _figure(**options):
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot() needs matplotlib (Debian: python3-matplotlib), which is not installed") from error
    figure = Figure(**options)
    FigureCanvasAgg(figure)  # No window, no display, nothing global.
    return figure


def plot(estimate: "Estimate", path: Optional[str] = None, title: Optional[str] = None):
    """Four panels: reduction by algorithm, its price in speed, chunk lengths, and file types or, of several versions, what each
    of them adds. Returns the figure; writes it to `path` (its suffix names the format) when there is one."""
    figure = _figure(figsize=(13, 8.4), constrained_layout=True, facecolor="white")
    axes = figure.subplots(2, 2)
    results = list(estimate.results.values())
    colours = {result.algorithm: _COLOURS[i % len(_COLOURS)] for i, result in enumerate(results)}
    _reduction(axes[0][0], results, colours)
    _speed(axes[0][1], results, colours)
    _lengths(axes[1][0], results, colours)
    if len(estimate.paths) > 1:
        _versions(axes[1][1], results, colours)
    else:
        _types(axes[1][1], estimate.best)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(colors=_INK, labelsize=9)
    figure.suptitle(title or _heading(estimate), color=_INK, fontsize=15, fontweight="bold")
    if path is not None:
        figure.savefig(path, dpi=130)
    return figure


def _heading(estimate):
    logical = max((result.logical_bytes for result in estimate.results.values()), default=0)
    return f"{estimate.files:,} files, {size_text(logical)}: what deduplication saves"


def size_text(size_bytes: float) -> str:
    """12.3 MiB"""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size_bytes < 1024 or unit == "TiB":
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError("unreachable")


def _label(axis, heading, x="", y=""):
    axis.set_title(heading, loc="left", color=_INK, fontsize=11)
    axis.set_xlabel(x, color=_INK, fontsize=9)
    axis.set_ylabel(y, color=_INK, fontsize=9)


def _reduction(axis, results, colours):
    ordered = sorted(results, key=lambda result: result.ratio)
    bars = axis.barh([r.algorithm for r in ordered], [r.ratio for r in ordered],
                     color=[colours[r.algorithm] for r in ordered])
    axis.bar_label(bars, [f"{r.ratio:.2f} : 1   {r.savings:.0%} saved" for r in ordered], padding=4, fontsize=9,
                   color=_INK)
    axis.set_xlim(0, 1.45 * max((r.ratio for r in ordered), default=1))
    axis.grid(axis="x", color=_GRID)
    axis.set_axisbelow(True)
    _label(axis, "Reduction", x="logical to unique bytes")


def _speed(axis, results, colours):
    for result in results:
        x, y = result.chunking_bytes_per_second / 1e9, result.ratio
        if x <= 0:
            continue
        axis.scatter(x, y, s=90, color=colours[result.algorithm], zorder=3)
        axis.annotate(result.algorithm, (x, y), xytext=(7, 5), textcoords="offset points", fontsize=9, color=_INK)
    axis.set_xscale("log")
    axis.margins(x=0.15, y=0.15)
    axis.grid(color=_GRID, which="both", linewidth=0.6)
    _label(axis, "Reduction against speed", x="finding cut points, GB/s of one core", y="logical to unique bytes")


def _lengths(axis, results, colours):
    for result in results:
        middles = [(low * high) ** 0.5 for low, high, _ in result.histogram]
        shares = [100 * count / max(1, result.unique_chunk_count) for _, _, count in result.histogram]
        axis.plot(middles, shares, marker="o", markersize=3, linewidth=1.6, color=colours[result.algorithm],
                  label=f"{result.algorithm}, mean {size_text(result.mean_chunk_bytes)}")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda value, _: size_text(value))
    axis.grid(color=_GRID)
    axis.legend(fontsize=8, frameon=False)
    _label(axis, "Lengths of unique chunks", x="length", y="% of chunks")


def _versions(axis, results, colours):
    best = max(results, key=lambda result: result.ratio)
    names = [os.path.basename(share.name.rstrip("/")) or share.name for share in best.versions]
    places = range(len(names))
    axis.bar(places, [share.logical_bytes / 2**20 for share in best.versions], color=_GRID, label="logical")
    axis.bar(places, [share.new_bytes / 2**20 for share in best.versions], width=0.5,
             color=colours[best.algorithm], label="not in an earlier version")
    axis.set_xticks(list(places), names, rotation=20, ha="right")
    axis.legend(fontsize=8, frameon=False)
    _label(axis, f"What each version adds ({best.algorithm})", y="MiB")


def _types(axis, result):
    shares = result.types[:10][::-1]
    names = [f"{share.name}  ({share.files:,})" for share in shares]
    axis.barh(names, [share.logical_bytes / 2**20 for share in shares], color=_GRID, label="logical")
    bars = axis.barh(names, [share.new_bytes / 2**20 for share in shares], height=0.5, color=_COLOURS[0], label="unique")
    axis.bar_label(bars, [f"{share.savings:.0%} saved" for share in shares], padding=4, fontsize=8, color=_INK)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    _label(axis, f"File types, the largest first ({result.algorithm})", x="MiB")
