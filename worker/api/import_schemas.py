"""What the API says of imports."""

from typing import Literal

from pydantic import BaseModel

from worker.domain.imports import ImportState


class NoteOut(BaseModel):
    """Something worth knowing that is no mistake: its first row, and how many it holds for."""

    row: int
    rows: int
    zh: str
    en: str


class ImportInShort(BaseModel):
    """A file handed in, and how far it is.

    `rows` is known once it is checked, `rows_done` how many are dealt with. `repeats` is an
    earlier import of the same content. A `held` one has more rows than `held_above`, and its people
    must be told before `nearest_act_by`.
    """

    id: str
    state: ImportState
    reason: str
    dry_run: bool
    kind: Literal["csv", "xlsx", "yaml"]
    bytes: int
    rows: int
    rows_done: int
    bad_rows: int
    new: int
    changed: int
    unchanged: int
    events_recorded: int
    reminders_planned: int
    repeats: str | None
    held_above: int | None
    nearest_act_by: str | None
    created_at: str
    updated_at: str
    finished_at: str | None
    notes: list[NoteOut]


class RowErrorOut(BaseModel):
    """One thing to mend: where people find it in their file (row 0: the file as a whole)."""

    place: str
    row: int
    code: str
    value: str
    detail_zh: str
    detail_en: str
    mend_zh: str
    mend_en: str


class ImportOut(ImportInShort):
    """An import with its first mistakes; errors.csv has them all."""

    errors: list[RowErrorOut]


class ImportPage(BaseModel):
    """Imports from the newest on; `next` is the `before` of the page that follows."""

    items: list[ImportInShort]
    next: str | None
