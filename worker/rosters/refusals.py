"""Why a cell, a row or a whole file cannot be taken, before it is known where it stands."""

from dataclasses import dataclass

from worker.domain.errors import BadData, Fault, Text


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is wrong and how to mend it. `value` never holds anything personal."""

    code: str
    message: Text
    mend: Text
    value: str = ""

    def at(self, place: str) -> Fault:
        """The same as a fault of one place."""
        return Fault(place, self.message, self.mend, self.value, self.code)


class Unreadable(BadData):
    """The file cannot be read, or not beyond some row. `where` is what follows the file's name."""

    def __init__(self, refusal: Refusal, where: str = "") -> None:
        message, mend = refusal.message, refusal.mend
        super().__init__(f"{message.zh}；{mend.zh}", f"{message.en}; {mend.en}")
        self.refusal = refusal
        self.where = where
