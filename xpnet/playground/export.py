"""A run as programs, in NumPy alone and with xpnet, and its numbers."""

import io
import json
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from xpnet.playground.engine import Playground

PROGRAMS = Path(__file__).parent / "programs"


def export(play: "Playground") -> bytes:
    """Return a zip file: numpy_net.py, xpnet_net.py, numbers.npz, net.safetensors."""
    s, numbers, archive = play.settings, io.BytesIO(), io.BytesIO()
    start = play.net.views(play.start_parameters)
    arrays = {f"weights{i}": each for i, each in enumerate(start.weights)}
    arrays |= {f"biases{i}": each for i, each in enumerate(start.biases)}
    np.savez(numbers, x=play.x[play.train], y=play.y[play.train], **arrays)
    named = ("seed", "rate", "optimizer", "dropout", "l1", "l2", "init")
    run = {name: getattr(s, name) for name in named} | {
        "address": f"#{play.link}", "sizes": play.sizes, "mistakes": sorted(s.wrong),
        "activations": [*(name for _, name in s.hidden), play.net.output.name],
        "loss": play.loss_name, "steps": len(play.losses), "edits": play.edits,
        "batch": len(play.train) if "bias" in s.wrong else s.batch,
    }  # fmt: skip
    with zipfile.ZipFile(archive, "w") as file, TemporaryDirectory() as folder:
        for name in ("numpy_net.py", "xpnet_net.py"):
            source = (PROGRAMS / f"{name}.txt").read_text(encoding="utf-8")
            written = f"json.loads({json.dumps(run)!r})"
            file.writestr(name, source.replace('json.loads("{}")', written))
        file.writestr("numbers.npz", numbers.getvalue())
        if "bias" not in s.wrong:  # no network has such biases
            play.net.save(Path(folder) / "net.safetensors")
            file.write(Path(folder) / "net.safetensors", "net.safetensors")
    return archive.getvalue()
