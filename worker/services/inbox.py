"""The watched folders: files put into config/cases and var/inbox are enrolled by themselves.

A file is read once, when it has lain unchanged for 5 seconds. Inbox files then move to var/done,
with their errors beside them, and are erased after 7 days.
"""

import errno
import logging
from collections import Counter
from datetime import datetime
from pathlib import Path

from worker.clock import seconds_since
from worker.domain.errors import Fault, QidaError, Text, Unavailable
from worker.rosters import by_row, write_errors
from worker.services.applying import discreet_name
from worker.services.context import Context
from worker.services.enrolment import Enrolment, enrol_file

log = logging.getLogger(__name__)

SETTLED_AFTER = 5.0
KEPT = 7 * 24 * 3600.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LONGEST_NAME = 200
"""Bytes; file systems take 255."""
_READABLE = frozenset({".yaml", ".yml", ".csv", ".xlsx"})

Seen = dict[Path, tuple[float, int]]
"""Which version of a file was read, its time and size: those of config/cases stay where they are,
and so does a file of var/inbox that could not be dealt with."""


def take_in(context: Context, seen: Seen, *, now: datetime) -> Counter[str]:
    """Enrol every settled file of both folders, and erase what was done a week ago.

    Raises Unavailable, or OSError on a full disk: the files are read again when there is room.
    """
    counts: Counter[str] = Counter()
    errors, done = context.home / "var" / "errors", context.home / "var" / "done"
    for folder, errors_in in (("config/cases", errors), ("var/inbox", done)):
        for path in _settled(context.home / folder):
            status = path.stat()
            version = (status.st_mtime, status.st_size)
            if seen.get(path) == version:
                continue
            try:
                counts += _enrol(context, path, errors_in, now)
                if errors_in is done:
                    _put_away(path, done, now)
                    continue
            except Exception as error:
                if _is_for_later(error):
                    raise
                _say_failed(path, error)
                counts["error"] += 1
            seen[path] = version
    for kept in (done, errors):
        counts["erased"] += _erase_old(kept)
    return +counts


def _is_for_later(error: Exception) -> bool:
    """Database or disk have to be mended first, and all files with them."""
    no_room = isinstance(error, OSError) and error.errno in _NO_ROOM
    return no_room or isinstance(error, Unavailable)


def _say_failed(path: Path, error: Exception) -> None:
    reason = type(error).__name__  # without its text: that may repeat the file's name
    log.error("file.failed", extra={"place": discreet_name(path.name), "reason": reason})


def _put_away(path: Path, done: Path, now: datetime) -> None:
    """Move a file to where it is kept for a week, which begins now."""
    done.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.rename(done / f"{now:%Y%m%dT%H%M%S}-{_shortened(path)}").touch()


def _shortened(path: Path) -> str:
    """The file's name, cut so that the time before it and `.errors.csv` after it still fit."""
    cut = path.stem.encode("utf-8", "surrogateescape")[: _LONGEST_NAME - len(path.suffix)]
    return cut.decode("utf-8", "ignore") + path.suffix


def _settled(folder: Path) -> list[Path]:
    """Roster files that nobody is writing any more."""
    if not folder.is_dir():
        return []
    return [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _READABLE
        and not path.name.startswith((".", "~$"))
        and path.is_file()
        and seconds_since(path.stat().st_mtime) >= SETTLED_AFTER
    ]


def _enrol(context: Context, path: Path, errors_in: Path, now: datetime) -> Counter[str]:
    """Enrol one file; whatever is wrong with it is written beside it and stops nothing.

    Raises Unavailable where the database is out of reach: the file stays and is read again.
    """
    try:
        report = enrol_file(context, path, now=now)
    except Unavailable:
        raise
    except QidaError as error:
        report = Enrolment(faults=[Fault(path.name, error.text, _MEND)])
    if report.faults:
        _write_errors(path, report, errors_in, now)
    counts = Counter(
        files=1, new=report.new, changed=report.changed, events=report.events,
        planned=report.planned, bad_rows=report.bad,
    )  # fmt: skip
    log.info("file.enrolled", extra={"place": discreet_name(path.name), "counts": dict(+counts)})
    return +counts


_MEND = Text("请更正后重新放入", "mend it and put it in again")


def _write_errors(path: Path, report: Enrolment, folder: Path, now: datetime) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem = f"{now:%Y%m%dT%H%M%S}-{_shortened(path)}"
    listed = [f"{one.in_language('zh')}\n  {one.in_language('en')}\n" for one in report.faults]
    if rest := report.rest():
        listed.append(f"{rest.zh}\n  {rest.en}\n")
    (folder / f"{stem}.errors.txt").write_text("".join(listed), "utf-8")
    if path.suffix.lower() in (".csv", ".xlsx"):
        try:
            write_errors(path, by_row(report.faults), folder / f"{stem}.errors.csv")
        except QidaError as error:
            place = discreet_name(path.name)
            log.warning("errors.not_listed", extra={"place": place, "reason": error.text.en})


def _erase_old(folder: Path) -> int:
    """Files of citizens' data are not kept longer than needed (decision 0005)."""
    if not folder.is_dir():
        return 0
    old = [path for path in folder.iterdir() if seconds_since(path.stat().st_mtime) > KEPT]
    for path in old:
        path.unlink()
    return len(old)
