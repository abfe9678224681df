"""`autograd-core info`: versions, devices and what the kernels run on."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import Any

import autograd_core as ag
from autograd_core.cli.errors import UserError

_PACKAGES = (
    "numpy",
    "numba",
    "tbb",
    "safetensors",
    "cupy-cuda12x",
    "cupy-cuda13x",
    "rich",
    "matplotlib",
    "scikit-learn",
    "torch",
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("info", help="versions, devices, thread layer, BLAS, kernels and their cache folder")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    rows = [
        ("autograd-core", ag.__version__),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *((name, _version(name)) for name in _PACKAGES),
        *_devices(),
        *_cpu(),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    return 0


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _devices() -> list[tuple[str, str]]:
    from autograd_core.backends import builtin_backends

    rows = []
    for name, load in builtin_backends():
        kind = load()
        count = kind.device_count()
        found = ", ".join(str(ag.device(name, index if name != "cpu" else None)) for index in range(count))
        rows.append((f"device {name}", found or f"none: {kind.unavailable_reason()}"))
        if name == "cuda" and count:
            from autograd_core.backends.cuda import kernels

            rows.append(("CUDA kernels", kernels.status(ag.devices.backend_of("cuda"))))
    try:
        rows.append(("default device", str(ag.get_default_device())))
    except RuntimeError as error:  # AUTOGRAD_CORE_DEVICE holds something wrong
        raise UserError(str(error), status=2) from None
    return rows


def _cpu() -> list[tuple[str, str]]:
    from autograd_core.backends.cpu import cache, threads

    try:
        kernels = cache.kernels_enabled()
        folder = str(cache.cache_dir())
    except (ValueError, ImportError, OSError) as error:  # an environment variable holds something wrong
        raise UserError(str(error), status=2) from None
    if kernels:
        threads.ensure_layer()
    info = threads.layer_info()
    return [
        ("kernels", "Numba" if kernels else "NumPy"),
        ("thread layer", f"{info['layer']} ({info['reason']})" if kernels else "none"),
        ("threads", str(info["threads"])),
        ("BLAS", _blas(info)),
        ("kernel cache", folder),
    ]


def _blas(info: dict[str, Any]) -> str:
    import numpy

    built: Any = numpy.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    text = f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()
    pools = [
        f"{pool['internal_api']} {pool['version']}, {pool['num_threads']} threads" for pool in info.get("blas", ())
    ]
    return f"{text} ({'; '.join(pools)})" if pools else text
