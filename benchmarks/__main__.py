"""`python -m benchmarks [NAME...]`: run the parts (all by default), print a table, judge it.

Every module of this package with a function `run() -> list[Row]` is a part. Exit code 1 when a bar
is missed, 2 for a part that does not exist.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from benchmarks import Row

HEAD = ("name", "figure", "comparison", "ratio", "bar", "ok")


def parts() -> dict[str, Callable[[], list[Row]]]:
    """The parts by name, in alphabetical order."""
    names = sorted(module.name for module in iter_modules([str(Path(__file__).parent)]))
    modules = {name: import_module(f"benchmarks.{name}") for name in names if name != "__main__"}
    return {name: module.run for name, module in modules.items() if hasattr(module, "run")}


def cells(row: Row) -> tuple[str, ...]:
    """One line of the table as text."""
    ratio = "" if row.ratio is None else f"{row.ratio:,.2f}x"
    bar = "" if row.bar is None else f"{row.bar:g}x"
    verdict = "" if row.bar is None else ("yes" if row.ok else "MISSED")
    return row.name, row.figure, row.comparison, ratio, bar, verdict


def table(rows: Sequence[Row]) -> str:
    """All rows under one head, columns lined up."""
    lines = [HEAD, *(cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in padded)


def main(wanted: Sequence[str]) -> int:
    """Run the wanted parts and print what they measured."""
    known = parts()
    if unknown := sorted(set(wanted) - set(known)):
        print(f"no part {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    rows = [row for name in wanted or known for row in known[name]()]
    print(table(rows))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
