"""`python -m proofs.moved OFFSET GRACE PLANT WORDS...`: the command `qida`, changed for a proof.

Its clock is moved by OFFSET seconds; calls on the wire have GRACE seconds when it is stopped; and
it has the planted bug of that name, unless that is `-`.
"""

import sys
from datetime import UTC, datetime, timedelta

from worker.clock import SystemClock


def be_qida(seconds: float, grace: float, plant: str) -> None:
    """Be the command. What reads the clock is loaded only once it is moved."""

    def moved(self: SystemClock) -> datetime:
        del self
        return datetime.now(UTC) + timedelta(seconds=seconds)

    SystemClock.now = moved  # type: ignore[method-assign]  # that is the purpose
    from worker.cli import main
    from worker.engines import embedded

    embedded.GRACE = timedelta(seconds=grace)
    if plant != "-":
        from proofs.stopping_plants import PLANTS

        PLANTS[plant]()
    main()


if __name__ == "__main__":
    _, _offset, _grace, _plant, *_words = sys.argv
    sys.argv = ["qida", *_words]
    be_qida(float(_offset), float(_grace), _plant)
