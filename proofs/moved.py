"""`python -m proofs.moved OFFSET GRACE WORDS...`: the command `qida` with its clock moved by OFFSET
seconds, and GRACE seconds for calls on the wire when it is stopped."""

import sys
from datetime import UTC, datetime, timedelta

from worker.clock import SystemClock


def be_qida(seconds: float, grace: float) -> None:
    """Be the command. What reads the clock is loaded only once it is moved."""

    def moved(self: SystemClock) -> datetime:
        del self
        return datetime.now(UTC) + timedelta(seconds=seconds)

    SystemClock.now = moved  # type: ignore[method-assign]  # that is the purpose
    from worker.cli import main
    from worker.engines import embedded

    embedded.GRACE = timedelta(seconds=grace)
    main()


if __name__ == "__main__":
    _, _offset, _grace, *_words = sys.argv
    sys.argv = ["qida", *_words]
    be_qida(float(_offset), float(_grace))
