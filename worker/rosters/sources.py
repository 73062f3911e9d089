"""What a roster is read from: a file on the disk, or one that is kept elsewhere."""

from typing import BinaryIO, Literal, Protocol


class Source(Protocol):
    """What rosters need of a file. A `Path` is one; opened again it begins at its start."""

    @property
    def name(self) -> str:
        """What people know it by."""

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot."""

    def open(self, mode: Literal["rb"]) -> BinaryIO:
        """Its bytes from the start on, in a stream that can seek. Raises OSError."""
