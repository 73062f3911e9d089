"""What the files under config/ say: the catalogue of rules, the centres and the holiday notices.

Every function gives what is good together with all faults of all files; only `require` raises.
docs/rules.md describes the keys.
"""

from worker.rulebook.catalogue import Rulebook, describe, load_rulebook, require
from worker.rulebook.centres import load_centres
from worker.rulebook.notices import read_notices

__all__ = [
    "Rulebook",
    "describe",
    "load_centres",
    "load_rulebook",
    "read_notices",
    "require",
]
