"""What the effects of texts with many values gain, on simulated tables: sales of many shops.

    python benchmarks/many_values.py [--out FILE.md]

`xpnet train` with no option beside the same without effects (`--encode ple`); errors on a fifth of
the rows that are kept aside, of two tables each, as in `tables.py`.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas
from machine import system
from tables import halves, of_xpnet

KINDS = {  # rows, shops, deviation of their effects, whether few shops have most rows, classes
    "2,000 shops": (20_000, 2_000, 1.0, False, False),
    "the same, a few with most rows": (20_000, 2_000, 1.0, True, False),
    "the same, two classes": (20_000, 2_000, 1.0, False, True),
    "effects of 0.3 deviations": (20_000, 2_000, 0.3, False, False),
    "no effects": (20_000, 2_000, 0.0, False, False),
    "5,000 rows, 500 shops": (5_000, 500, 1.0, False, False),
}


def made(rows: int, shops: int, spread: float, uneven: bool, classes: bool, seed: int):
    """Return a table whose target depends on numbers, by curves and products, and on the shop."""
    rng = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, shops + 1) ** (0.8 * uneven)
    shop, x = rng.choice(shops, rows, p=shares / shares.sum()), rng.standard_normal((rows, 6))
    y = x[:, 0] + np.sin(2 * x[:, 1]) + x[:, 2] * x[:, 3] + rng.standard_normal(rows)
    y += spread * rng.standard_normal(shops)[shop]
    frame = pandas.DataFrame(x.round(4), columns=[f"x{at}" for at in range(6)])
    target = np.where(y > 0, "more", "less") if classes else y.round(4)
    return frame.assign(shop=[f"shop {each}" for each in shop], y=target)


def main() -> None:
    """Measure every kind of table, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    results = Path(__file__).parent / "results" / "many_values.md"
    parser.add_argument("--out", type=Path, default=results)
    out, lines = parser.parse_args().out, []
    for name, kind in KINDS.items():
        errors = []
        for seed in range(2):
            train, test = halves(made(*kind, seed), "y", seed)
            for options in (["--encode", "ple"], []):
                error, _, report = of_xpnet(train, test, "y", options, seed)
                errors.append(error)
        kept = "by their mean" in str(report["decisions"])
        plain, own = np.mean(errors[::2]), np.mean(errors[1::2])
        lines.append(f"| {name} | {plain:.4f} | {own:.4f} | {100 * (1 - own / plain):.1f} % | "
                     f"{'yes' if kept else 'no'} |")  # fmt: skip
        print(lines[-1], flush=True)
    text = ["# Texts with many values, by their mean target", "",
            "By `python benchmarks/many_values.py`; how it measures stands there.", "", *system(),
            "", "| table | without | with | gain | kept by held-out rows |",
            "|---|---|---|---|---|", *lines]  # fmt: skip
    out.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
