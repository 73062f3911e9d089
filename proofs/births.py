"""First starts: a worker is killed while it makes its database and keys; the next one must start.

What is half made is the migration, the key file, the stamp and the sandbox's ledger.
"""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random

from proofs.child import Life, Site, Step
from proofs.crashing import BEGIN
from proofs.forking import Moment, forked

_SOON = 0.12
"""Seconds in which a first start is over."""


def kill_births(like: Site, rng: Random, births: int) -> tuple[int, list[str]]:
    """Kill so many first starts, each in an empty home; returns kills, and homes beyond rescue."""
    kills, beyond_rescue = 0, []
    life = Life([Step(BEGIN)])
    for _ in range(births):
        home = Path(tempfile.mkdtemp(prefix="qida-birth-"))
        place = replace(like, settings=like.settings.model_copy(update={"home": home}))
        kills += forked(place, life, Moment(rng.uniform(0, _SOON), once_opened=False)).is_killed
        if forked(place, life).by == 0:
            shutil.rmtree(home)
        else:
            beyond_rescue.append(str(home))
    return kills, beyond_rescue
