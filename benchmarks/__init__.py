"""How fast Qida is, beside what one would use instead: `make bench` prints one table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    `ratio` says how many times as good the figure is as the comparison, and `bar` the least that
    will do; without a bar the line informs only.
    """

    name: str
    figure: str
    comparison: str = ""
    ratio: float | None = None
    bar: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the bar, if there is one, is met."""
        return self.bar is None or (self.ratio is not None and self.ratio >= self.bar)
