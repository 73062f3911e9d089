"""What is built to be handed out holds the catalogue and the texts, and nobody's cases."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ["config", "templates", "worker", "pyproject.toml", "README.md", "LICENSE"]


def test_the_wheel_ships_config_and_templates_but_no_case(tmp_path: Path) -> None:
    for name in SHIPPED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "config" / "rules").mkdir(exist_ok=True)
    (tmp_path / "config" / "cases").mkdir(exist_ok=True)
    (tmp_path / "config" / "rules" / "planted.yaml").touch()
    (tmp_path / "config" / "cases" / "planted.csv").touch()
    (tmp_path / "templates" / "planted.j2").touch()

    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)

    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    planted = {name for name in names if "planted" in name}
    assert planted == {
        "worker/_shipped/config/rules/planted.yaml",
        "worker/_shipped/templates/planted.j2",
    }
    page = {f"worker/api/swagger_ui/{name}" for name in ("swagger-ui-bundle.js", "LICENSE")}
    assert page <= names  # /docs works without a network, and says whose it is
