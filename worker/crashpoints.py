"""Named points where a test may kill the process; without the variable, nothing happens.

`QIDA_CRASH_AT=after_claim:3` kills the process (SIGKILL, no clean-up) the third time it passes
`after_claim`. Production never sets it.
"""

import os
import signal

CRASH_POINTS = (
    "before_claim",
    "in_claim",
    "after_claim",
    "before_submit",
    "after_submit",
    "before_record",
    "in_record",
    "after_record",
    "in_settle",
    "after_find",
    "in_rescue",
    "in_enrol",
    "after_enrol",
)
"""Every point of sending, in the order a reminder meets them."""

FORGETTING_POINTS = ("in_retain", "in_erase", "in_rotate")
"""Points of what no reminder meets: erasing, and changing the keys."""

IMPORT_POINTS = ("in_import", "after_import")
"""Points of a file on its way to the chunks that `in_enrol` and `after_enrol` are passed for."""

_passed: dict[str, int] = {}


def crash_point(name: str) -> None:
    """Die here if `QIDA_CRASH_AT` names this point and this pass of it; else do nothing."""
    wanted = os.environ.get("QIDA_CRASH_AT")
    if not wanted:
        return
    point, _, nth = wanted.partition(":")
    if point != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(nth or 1):
        os.kill(os.getpid(), signal.SIGKILL)
