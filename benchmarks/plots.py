"""Plots the results in `latest.json` into docs/images, for docs/performance.md.

Only this module needs `pip install matplotlib`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import figures
import matplotlib as mpl
from matplotlib import pyplot as plt

IMAGES = Path(__file__).parents[1] / "docs" / "images"
BLUE, ORANGE = "#2457a6", "#d9822b"

Figures = dict[str, Any]


def main() -> None:
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "otp_service", "font.size": 10, "axes.spines.top": False})
    IMAGES.mkdir(parents=True, exist_ok=True)
    found = figures.read()
    for name, draw in PLOTS.items():
        figure, axes = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
        draw(axes, found)
        axes.spines["right"].set_visible(False)
        figure.savefig(IMAGES / f"performance-{name}.svg", metadata={"Date": None})
        plt.close(figure)


def growth(axes: Any, found: Figures) -> None:
    costs = {int(size): cost for size, cost in found["growth"]["store_us"].items()}
    axes.plot(list(costs), list(costs.values()), marker="o", color=BLUE)
    axes.set_xscale("log")
    axes.set_ylim(0, max(costs.values()) * 1.25)
    axes.set_xlabel("live verifications")
    axes.set_title("µs of the store's CPU per request and verify")


def memory(axes: Any, found: Figures) -> None:
    servers = {
        name.removeprefix("memory on "): values for name, values in found.items() if "memory on" in name
    }
    for place, (name, values) in enumerate(servers.items()):
        parts = {
            "alive": values["alive"],
            "address": values["address"],
            "left after a day": values["approved"]["a day"],
        }
        spots = [number + place * 0.38 for number in range(len(parts))]
        bars = axes.bar(spots, parts.values(), 0.36, label=name, color=[BLUE, ORANGE][place])
        axes.bar_label(bars, padding=2)
        axes.set_xticks([number + 0.19 for number in range(len(parts))], parts)
    axes.legend(frameon=False)
    axes.set_title("Bytes per verification")


PLOTS: dict[str, Callable[[Any, Figures], None]] = {
    "growth": growth,
    "memory": memory,
}

if __name__ == "__main__":
    main()
