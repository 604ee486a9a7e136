"""What benchmarks share: their options, and the machine, the versions, the date to write down."""

import argparse
import importlib
import importlib.util
import os
import platform
import time
from pathlib import Path

import xpnet
from xpnet.backend.threads import blas


def options(description: str, repeats: int) -> argparse.Namespace:
    """Read ``--repeats`` and ``--out`` from the command line."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--repeats", type=int, default=repeats)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def system() -> list[str]:
    """Name the machine and the versions."""
    lines = [f"- machine: {processor()}, {os.cpu_count()} cores, {platform.system()}"]
    versions = [f"Python {platform.python_version()}", f"xpnet {xpnet.__version__}"]
    versions += [
        f"{name} {importlib.import_module(name).__version__}"
        for name in ("numpy", "torch", "sklearn", "jax")
        if importlib.util.find_spec(name)
    ]
    lines.append("- versions: " + ", ".join(versions))
    used = blas()
    threads = "threads not known" if used["threads"] is None else f"{used['threads']} thread(s)"
    kernels = used["kernels"] or "its own"
    lines.append(f"- NumPy's BLAS: {used['name']} {used['version']}, {kernels} kernels, {threads}")
    return [*lines, f"- date: {time.strftime('%Y-%m-%d')}"]


def processor() -> str:
    """Return the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
