"""Put PyTorch's CPU build into the running environment, for the comparisons with it.

A bare `pip install torch` on Linux means gigabytes of CUDA. The CPU build carries the local version `+cpu`, so asking
for exactly that can fetch nothing else; macOS has one build only, without the label. Tried in this order: the wheel
folders of PIP_FIND_LINKS, then PyTorch's CPU index.

Exit status: 0 it is there, 3 it cannot be had (said loudly), 1 the one that is there is the wrong one.
"""

import importlib.util
import os
import subprocess
import sys

VERSION = "2.13.0"
REQUIREMENT = f"torch=={VERSION}" if sys.platform == "darwin" else f"torch=={VERSION}+cpu"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE = "import torch; print(torch.__version__, torch.version.cuda)"
LEFT_OUT = 3


def pip_install(*arguments: str) -> bool:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command).returncode == 0


def installed() -> str:
    """Version and CUDA version of the PyTorch that is there, or an empty string."""
    return subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True).stdout.strip()


def obtain() -> bool:
    """Install the wheel alone, then what it depends on from the usual index (the folder holds only the wheel)."""
    folders = os.environ.get("PIP_FIND_LINKS", "").split()
    links = [part for folder in folders for part in ("--find-links", folder)]
    found = bool(folders) and pip_install("--no-index", *links, "--no-deps", REQUIREMENT)
    if not found:
        print(f"{REQUIREMENT} is in no wheel folder; asking PyTorch's CPU index", flush=True)
        quick = ("--timeout", "15", "--retries", "1")
        found = pip_install("--index-url", CPU_INDEX, *quick, "--no-deps", "--only-binary", ":all:", REQUIREMENT)
    return found and pip_install(REQUIREMENT)


def obtain_samples() -> None:
    """The samples of PyTorch's own tests, which the sweep uses, import expecttest."""
    if importlib.util.find_spec("expecttest") is None and not pip_install("expecttest>=0.3"):
        print("expecttest could not be had: the sweep over PyTorch's samples will be skipped", flush=True)


def main() -> int:
    if not installed() and not obtain():
        python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        line = "!" * 78
        print(
            f"{line}\n"
            "!! THE COMPARISONS WITH PYTORCH WERE LEFT OUT.\n"
            f"!! No CPU build of PyTorch {VERSION} for {python} could be had, neither from the wheel\n"
            f"!! folders of PIP_FIND_LINKS ({os.environ.get('PIP_FIND_LINKS') or 'not set'}) nor from {CPU_INDEX}.\n"
            f"{line}",
            flush=True,
        )
        return LEFT_OUT
    have = installed()
    version, _, cuda = have.partition(" ")
    if cuda != "None" or version.split("+")[0] != VERSION:
        print(
            f"PyTorch here is {have or 'broken: it does not import'}; the comparisons need the CPU build of {VERSION}. "
            f"Run `{sys.executable} -m pip uninstall torch` and try again.",
            file=sys.stderr,
        )
        return 1
    obtain_samples()
    print(f"PyTorch {version} (CPU build)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
