"""`qida --help` answers at once: what is heavy to import is left to the command that needs it."""

import json
import subprocess
import sys

HEAVY = [
    "alembic",
    "apscheduler",
    "chinese_calendar",
    "cryptography",
    "email_validator",
    "jinja2",
    "phonenumbers",
    "pydantic",
    "python_calamine",
    "ruamel",
    "sqlalchemy",
    "sqlmodel",
]
HELP = f"""
import json, sys
from worker.cli import main
sys.argv = ["qida", "--help"]
try:
    main()
except SystemExit as stop:
    code = stop.code
print(json.dumps({{"code": code, "heavy": sorted(set({HEAVY}) & set(sys.modules))}}))
"""


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"code": 0, "heavy": []}
