"""The states of an import: a file that was handed in over HTTP."""

from typing import Literal

ImportState = Literal[
    "receiving", "checking", "held", "queued", "applying", "done", "refused", "cancelled"
]
"""`held` waits for an operator's word, `queued` for a worker; `refused` had no row to apply."""
