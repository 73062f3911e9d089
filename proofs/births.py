"""First starts: a worker is killed while it makes its database and keys; the next one must start.

What is half made is the migration, the key file, the stamp and the sandbox's ledger.
"""

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random

from proofs.child import Life, Site, Step
from proofs.crashing import BEGIN
from proofs.forking import Moment, forked

_TRIES = 10


def kill_births(like: Site, rng: Random, births: int) -> tuple[int, list[str]]:
    """Kill so many first starts, each in an empty home, at any moment of the time that one takes.

    Returns kills, and what is wrong: homes beyond rescue, or starts that were over too soon.
    """
    kills, wrong, soon = 0, [], 0.0
    for _ in range(births * _TRIES):
        if kills == births:
            break
        place, begun = _empty(like), time.monotonic()
        moment = Moment(rng.uniform(0, soon), once_opened=False) if soon else None
        kills += forked(place, Life([Step(BEGIN, has_tick=False)]), moment).is_killed
        soon = soon or time.monotonic() - begun
        if forked(place, Life([Step(BEGIN)])).by == 0:
            shutil.rmtree(place.settings.home)
        else:
            wrong.append(f"a first start beyond rescue in {place.settings.home}")
    if kills < births:
        wrong.append(f"only {kills} of {births} first starts were killed")
    return kills, wrong


def _empty(like: Site) -> Site:
    home = Path(tempfile.mkdtemp(prefix="qida-birth-"))
    return replace(
        like, settings=like.settings.model_copy(update={"home": home, "database_url": ""})
    )
