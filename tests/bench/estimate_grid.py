"""How far estimates agree with simulations: python tests/bench/estimate_grid.py [--storms N] [--seed N]

Storms are drawn at random (`tests/support/estimate_cells.py`), estimated and simulated. A simulation takes
some seconds. The tables are those of docs/estimate.md.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from tests.support.estimate_cells import cells
from tests.support.estimate_comparison import Compared, compare, errors, share


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storms", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    storms = list(cells(arguments.storms, arguments.seed))
    if arguments.processes == 1:
        compared = [compare(storm) for storm in storms]
    else:
        with ProcessPoolExecutor(arguments.processes) as pool:
            compared = list(pool.map(compare, storms))
    for line in tables(compared):
        sys.stdout.write(f"{line}\n")


def tables(compared: Sequence[Compared]) -> list[str]:
    """By policy and by limit, by chance, and how long the estimates took."""
    lines = [
        "| storms | number | estimated | metastable or not: right | where sure | time to recover close |"
        " error, median | 90 % |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        _row(name, [one for one in compared if one.policy == name])
        for name in sorted({one.policy for one in compared})
    ]
    lines += [
        _row(f"limit {name}", [one for one in compared if one.limit == name])
        for name in sorted({one.limit for one in compared})
    ]
    lines.append(_row("all", compared))

    lines += [
        "",
        "| chance of a metastable outcome | storms | of them metastable |",
        "| ---: | ---: | ---: |",
    ]
    known = [
        (one.estimate.forecast.chance_metastable, one)
        for one in compared
        if one.estimate.forecast is not None
    ]
    for chance in sorted({chance for chance, _ in known}):
        stuck = [one.is_stuck for each, one in known if each == chance and one.is_stuck is not None]
        lines.append(f"| {100 * chance:.0f} % | {len(stuck)} | {sum(stuck)} |")
    took_ms = [one.estimate_ms for _, one in known]
    if took_ms:
        median_ms, most_ms = np.quantile(took_ms, (0.5, 1.0))
        lines += ["", f"An estimate took {median_ms:.0f} ms of CPU (median), {most_ms:.0f} ms at the most."]
    return lines


def _row(name: str, some: Sequence[Compared]) -> str:
    right = [one.is_right for one in some]
    sure = [one.is_right for one in some if one.is_sure]
    estimated = sum(one.estimate.forecast is not None for one in some)
    return (
        f"| {name} | {len(some)} | {estimated} | {share(right)} | {share(sure)} |"
        f" {share([one.is_close for one in some])} | {errors(some)} |"
    )


if __name__ == "__main__":
    main()
