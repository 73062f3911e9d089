"""What can go wrong, said in Chinese and English, with where it is and how to mend it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence for people, in both languages of the product."""

    zh: str
    en: str

    def in_language(self, language: str) -> str:
        """The sentence in `zh` or `en`."""
        return self.en if language == "en" else self.zh

    def __str__(self) -> str:
        return f"{self.zh} / {self.en}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a file a person wrote: place, what is wrong, what to do.

    `place` is `file:line:column` for YAML and `file, row 3, column 手机 (C)` for rosters.
    `value` never holds personal data: rosters leave it empty for name, phone and e-mail columns.
    """

    place: str
    message: Text
    mend: Text
    value: str = ""
    code: str = ""

    def in_language(self, language: str) -> str:
        """The whole fault on one line."""
        shown = f" [{self.value}]" if self.value else ""
        say = self.message.in_language(language)
        return f"{self.place}: {say}{shown} -> {self.mend.in_language(language)}"


class QidaError(Exception):
    """Base of every error a person can cause or mend."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} / {en}")
        self.text = Text(zh, en)


class BadData(QidaError):
    """What was handed in cannot be used as it is."""


class Unavailable(QidaError):
    """A provider, the database or a file is out of reach for now."""


class Misconfigured(QidaError):
    """Configuration or environment must be mended before Qida can work.

    `faults` lists every single mistake found, not only the first.
    """

    def __init__(self, zh: str, en: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(zh, en)
        self.faults = faults
