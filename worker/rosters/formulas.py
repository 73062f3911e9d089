"""Cells that a spreadsheet would run as formulas: made harmless when written, restored when read.

OWASP "CSV Injection" lists the signs; the full-width ones are read as formulas under some locales.
"""

_STARTS = tuple("=+-@\t\r\n\0＝＋－＠")


def neutralised(cell: str) -> str:
    """The cell as no spreadsheet runs it: an apostrophe before any sign that begins a formula."""
    return f"'{cell}" if cell.lstrip(" \u3000\ufeff").startswith(_STARTS) else cell


def original(cell: str) -> str:
    """A cell that `neutralised` has changed as it was before; any other as it is."""
    return cell[1:] if cell.startswith("'") and neutralised(cell[1:]) == cell else cell
