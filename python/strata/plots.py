# SPDX-License-Identifier: Apache-2.0
"""Pictures of estimates, drawn with matplotlib where it is installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from .estimate import Estimate

_INK, _MUTED, _GRID, _PALE = "#22303c", "#5d6b78", "#e3e8ed", "#d3dae1"
_COLOURS = ["#2a6f97", "#e07a5f", "#81b29a", "#e9b44c", "#6d597a", "#b56576", "#355070", "#43aa8b", "#90a955"]

def _figure(**options):
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot() needs matplotlib (Debian: python3-matplotlib), which is not installed") from error
    figure = Figure(**options)
    FigureCanvasAgg(figure)  # No window, no display, nothing global.
    return figure


def plot(estimate: "Estimate", path: Optional[str] = None, title: Optional[str] = None) -> Any:
    """Four panels: reduction by algorithm, its price in speed, chunk lengths, and file types or, of several versions, what each
    of them adds. Returns the figure; writes it to `path` (its suffix names the format) when there is one."""
    figure = _figure(figsize=(13, 8.6), facecolor="white")
    axes = figure.subplots(2, 2, gridspec_kw={"left": 0.085, "right": 0.975, "bottom": 0.075, "top": 0.88,
                                              "wspace": 0.2, "hspace": 0.32})
    results = sorted(estimate.results.values(), key=lambda result: -result.ratio)
    colours = {algorithm: _COLOURS[i % len(_COLOURS)] for i, algorithm in enumerate(estimate.results)}
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.spines[["left", "bottom"]].set_color(_PALE)
        axis.tick_params(colors=_INK, labelsize=9, color=_PALE, which="both")
        axis.set_axisbelow(True)
    _reduction(axes[0][0], results, colours)
    _speed(axes[0][1], results, colours)
    _lengths(axes[1][0], results, colours)
    if not results:
        pass
    elif len(estimate.paths) > 1:
        _versions(axes[1][1], estimate.best, colours)
    else:
        _types(axes[1][1], estimate.best, colours)
    figure.text(0.02, 0.975, title or _heading(estimate), color=_INK, fontsize=16, fontweight="bold", va="top")
    figure.text(0.02, 0.94, _subheading(estimate), color=_MUTED, fontsize=10, va="top")
    if path is not None:
        figure.savefig(path, dpi=130)
    return figure


def _heading(estimate):
    if not estimate.results:
        return "Nothing to compare"
    best = estimate.best
    return f"Deduplication saves {best.savings:.0%} of {size_text(best.logical_bytes)}"


def _subheading(estimate):
    text = f"{estimate.files:,} files"
    if len(estimate.paths) > 1:
        text += f" in {len(estimate.paths)} versions"
    if estimate.results:
        text += f"; the most with {estimate.best.algorithm}; before compression"
    return text


def size_text(size_bytes: float) -> str:
    """12.3 MiB"""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size_bytes < 1024 or unit == "TiB":
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    raise AssertionError("unreachable")


def _label(axis, heading, x="", y=""):
    axis.set_title(heading, loc="left", color=_INK, fontsize=11.5, fontweight="bold", pad=9)
    axis.set_xlabel(x, color=_MUTED, fontsize=9)
    axis.set_ylabel(y, color=_MUTED, fontsize=9)


def _reduction(axis, results, colours):
    ordered = results[::-1]
    bars = axis.barh([r.algorithm for r in ordered], [r.ratio for r in ordered], height=0.72,
                     color=[colours[r.algorithm] for r in ordered])
    axis.bar_label(bars, [f"{r.ratio:.2f} : 1   {r.savings:.1%} saved" for r in ordered], padding=5, fontsize=9,
                   color=_INK)
    axis.set_xlim(0, 1.42 * max((r.ratio for r in ordered), default=1))
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=_GRID)
    _label(axis, "Reduction", x="logical to unique bytes")


def _speed(axis, results, colours):
    points = [(r.algorithm, r.chunking_bytes_per_second / 1e9, r.ratio) for r in results if r.chunking_seconds > 0]
    for algorithm, x, y in points:
        axis.scatter(x, y, s=95, color=colours[algorithm], edgecolor="white", linewidth=1, zorder=3)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.margins(x=0.17)
    ratios = [y for _, _, y in points] or [1.0]
    room = max(0.22 * (max(ratios) - min(ratios)), 0.05 * max(ratios))  # Equals look equal.
    axis.set_ylim(min(ratios) - room, max(ratios) + room)
    axis.grid(color=_GRID, which="major")
    _label(axis, "Reduction against speed", x="finding cut points, GB/s of one core", y="logical to unique bytes")
    _name_points(axis, points, colours)


def _name_points(axis, points, colours):
    """Writes each name beside its point: at the first place where it covers no other point or name."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox
    axis.figure.draw_without_rendering()  # Now the limits are known.
    marks = [axis.transData.transform((x, y)) for _, x, y in points]
    taken = [Bbox.from_bounds(x - 8, y - 8, 16, 16) for x, y in marks]
    places = [(9, 0, "left", "center"), (-9, 0, "right", "center"), (0, 9, "center", "bottom"),
              (0, -9, "center", "top")]
    places += [(dx, dy, "left" if dx > 0 else "right", "bottom" if dy > 0 else "top")
               for far in (10, 20, 32, 44) for dy in (far, -far) for dx in (9, -9)]
    for name, x, y in points:
        for dx, dy, horizontal, vertical in places:
            text = axis.annotate(name, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=9,
                                 fontweight="bold", color=colours[name], ha=horizontal, va=vertical,
                                 arrowprops={"arrowstyle": "-", "color": _PALE} if abs(dy) > 12 else None)
            box = Text.get_window_extent(text)  # Without the line to the point.
            if not any(box.overlaps(other) for other in taken):
                break
            text.remove()
        else:  # No room: on top of what is there.
            box = axis.annotate(name, (x, y), xytext=(9, 0), textcoords="offset points", fontsize=9,
                                fontweight="bold", color=colours[name]).get_window_extent()
        taken.append(box)


def _lengths(axis, results, colours):
    """A ridge for each algorithm: where its bytes are, by the length of the chunk they are in."""
    count = len(results)
    lowest, highest = [], []
    for row, result in enumerate(results):
        middles = [(low * high) ** 0.5 for low, high, _ in result.histogram]
        bytes_there = [middle * chunks for middle, (_, _, chunks) in zip(middles, result.histogram)]
        most, total = max(bytes_there, default=0), sum(bytes_there)
        if not most:
            continue
        base = count - 1 - row
        heights = [base + 0.88 * there / most for there in bytes_there]
        edges = [result.histogram[0][0]] + [high for _, high, _ in result.histogram]
        axis.stairs(heights, edges, baseline=base, fill=True, color=colours[result.algorithm], alpha=0.85)
        axis.text(1.0, base + 0.32, f"mean {size_text(result.mean_chunk_bytes)}", transform=axis.get_yaxis_transform(),
                  ha="right", va="center", fontsize=8.5, color=_MUTED)
        seen = [index for index, there in enumerate(bytes_there) if there > 0.003 * total]
        lowest.append(edges[seen[0]])
        highest.append(edges[seen[-1] + 1])
    axis.set_yticks([count - 1 - row + 0.32 for row in range(count)], [result.algorithm for result in results])
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
    axis.set_xscale("log", base=2)
    if lowest:
        axis.set_xlim(min(lowest) / 1.1, max(highest) * (max(highest) / min(lowest)) ** 0.2)
    axis.set_ylim(-0.1, max(1, count))
    axis.xaxis.set_major_formatter(lambda value, _: size_text(value).replace(".0 ", " "))
    axis.grid(axis="x", color=_GRID)
    _label(axis, "Where the bytes are", x="length of unique chunks")


def _versions(axis, result, colours):
    names = [os.path.basename(share.name.rstrip("/")) or share.name for share in result.versions]
    places = range(len(names))
    most = max((share.logical_bytes for share in result.versions), default=0) / 2**20
    axis.bar(places, [share.logical_bytes / 2**20 for share in result.versions], width=0.72, color=_PALE, label="logical")
    bars = axis.bar(places, [share.new_bytes / 2**20 for share in result.versions], width=0.72,
                    color=colours[result.algorithm], label="in no earlier version")
    if len(names) <= 12:
        axis.bar_label(bars, [f"{size_text(share.new_bytes)}\n{1 - share.savings:.0%}" for share in result.versions],
                       padding=3, fontsize=8.5, color=_INK)
    crowded = sum(map(len, names)) > 60
    axis.set_xticks(list(places), names, rotation=25 if crowded else 0, ha="right" if crowded else "center")
    axis.set_ylim(0, 1.22 * most or 1)
    axis.legend(fontsize=9, frameon=False, ncols=2, loc="upper right", borderaxespad=0, labelcolor=_INK)
    axis.grid(axis="y", color=_GRID)
    _label(axis, f"What each version adds, by {result.algorithm}", y="MiB")


def _types(axis, result, colours):
    shares = result.types[:10][::-1]
    names = [f"{share.name}  ({share.files:,})" for share in shares]
    logical = axis.barh(names, [share.logical_bytes / 2**20 for share in shares], height=0.72, color=_PALE, label="logical")
    axis.barh(names, [share.new_bytes / 2**20 for share in shares], height=0.72, color=colours[result.algorithm],
              label="unique in the type")
    axis.bar_label(logical, [f"{share.savings:.0%} saved" for share in shares], padding=5, fontsize=8.5, color=_INK)
    axis.set_xlim(0, 1.2 * max((share.logical_bytes / 2**20 for share in shares), default=1))
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.legend(fontsize=9, frameon=False, loc="lower right", labelcolor=_INK)
    axis.grid(axis="x", color=_GRID)
    _label(axis, f"File types, the largest first, by {result.algorithm}", x="MiB")
