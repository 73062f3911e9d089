"""Why a caller's request is turned away; the edge gives each its status."""

from worker.domain.errors import BadData, Fault, Text


class Refused(BadData):
    """What was handed in cannot be taken; `faults` says what, where, and the mend.

    Every place is a JSON pointer into the request.
    """

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__(
            f"有 {len(faults)} 处需要更正，没有登记任何内容",
            f"{len(faults)} to mend; nothing was recorded",
        )
        self.faults = faults

    @property
    def is_of_state(self) -> bool:
        """Whether it is well-formed and only at odds with what is on record."""
        return all(fault.code in _OF_STATE for fault in self.faults)


_OF_STATE = frozenset(
    {"event.order", "event.voided", "event.needed", "procedure.changed", "case.team"}
)


class NotThere(BadData):
    """There is no such thing, or it is another centre's: both are told alike."""

    def __init__(self) -> None:
        super().__init__("没有这个案件、事项或导入", "there is no such case, event or import")


class Moved(BadData):
    """The case is no longer as the caller last saw it."""

    def __init__(self) -> None:
        super().__init__(
            "案件已有变化，请重新读取后再提交",
            "the case has changed since; read it again, then submit",
        )


class KeyTaken(BadData):
    """The Idempotency-Key was used with another request."""

    def __init__(self) -> None:
        super().__init__(
            "这个 Idempotency-Key 已用于另一个请求；新的请求请用新的键",
            "this Idempotency-Key was used for another request; take a new one",
        )


class Underway(BadData):
    """The first request with this Idempotency-Key has not been answered yet."""

    def __init__(self) -> None:
        super().__init__(
            "同一 Idempotency-Key 的请求正在处理，请稍后再试",
            "a request with this Idempotency-Key is underway; try again shortly",
        )


def refuse(pointer: str, code: str, said: Text, mend: Text) -> Refused:
    """A refusal for one reason."""
    return Refused((Fault(pointer, said, mend, code=code),))
