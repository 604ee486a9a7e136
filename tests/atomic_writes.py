"""An old file, a new one to take its place, and processes that try."""

import subprocess
import sys
import textwrap
from pathlib import Path

from xpnet.backend.files import atomic_write

OLD, NEW = b"the old version" * 1000, b"the new version" * 2000


def write(path, data=NEW):
    with atomic_write(path) as file:
        for start in range(0, len(data), 10_000):
            file.write(data[start : start + 10_000])


def names(directory):
    return sorted(each.name for each in directory.iterdir())


def run_python(script, *arguments):
    """Run a script in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
