"""Run mypy on the built wheel, outside the checkout.

In the checkout `nn/` stands beside `autograd_core/`, where mypy would read it as a second package named `nn`, or not at
all. So: build the wheel, unpack it, check that no module was left out of it, and that mypy saw every one.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("autograd_core", "backends", "benchmarks", "examples", "nn", "optim")


def build_wheel(folder: Path) -> Path:
    """Build by way of the sdist, so that no stale build/ of an earlier run gets in."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"building the wheel failed:\n{result.stdout[-4000:]}{result.stderr[-4000:]}")
    return next(folder.glob("*.whl"))


def main() -> int:
    # A fixed place under build/, so that mypy's cache holds from run to run.
    site = ROOT / "build" / "typecheck"
    shutil.rmtree(site, ignore_errors=True)
    with tempfile.TemporaryDirectory() as dist:
        zipfile.ZipFile(build_wheel(Path(dist))).extractall(site)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(ROOT / ".mypy_cache"), "-p", "autograd_core"]
    result = subprocess.run(command, cwd=site, stdout=subprocess.PIPE, text=True)
    print(result.stdout, end="")
    if result.returncode:
        return result.returncode
    seen = re.search(r"in (\d+) source files?", result.stdout)
    there = sum(1 for folder in FOLDERS for _ in (ROOT / folder).rglob("*.py"))
    if seen is None or int(seen[1]) != there:
        print(f"mypy saw {seen[1] if seen else 'no'} files of {there}: is a package missing from pyproject.toml?")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
