"""Rosters: files of cases as centres keep them (CSV, XLSX, YAML), read into checked rows."""

from worker.domain.contacts import PhonePolicy
from worker.rosters.addresses import not_allowed, read_email, read_phone
from worker.rosters.errorlist import by_row, error_rows, row_at, row_of, write_errors
from worker.rosters.formulas import neutralised
from worker.rosters.jsoncases import JsonCase, pointer_of, read_instant, read_json_case
from worker.rosters.reading import EVENT_WORDS, FileInfo, describe_file, read_roster
from worker.rosters.refusals import Refusal
from worker.rosters.rows import RosterRow
from worker.rosters.sources import Source
from worker.rosters.workbooks import is_workbook

__all__ = [
    "EVENT_WORDS",
    "FileInfo",
    "JsonCase",
    "PhonePolicy",
    "Refusal",
    "RosterRow",
    "Source",
    "by_row",
    "describe_file",
    "error_rows",
    "is_workbook",
    "neutralised",
    "not_allowed",
    "pointer_of",
    "read_email",
    "read_instant",
    "read_json_case",
    "read_phone",
    "read_roster",
    "row_at",
    "row_of",
    "write_errors",
]
