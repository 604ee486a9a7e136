"""`xpnet export`: a model for other programs."""

import os

from xpnet.cli.options import ExportOptions
from xpnet.cli.output import check_outputs, say
from xpnet.saving.model import load_model


def export(options: ExportOptions) -> None:
    """Write a model as ONNX, or as a Python program."""
    suffix = ".py" if options.numpy else ".onnx"
    out = options.out or os.path.splitext(options.model)[0] + suffix
    check_outputs([out], [options.model])
    model = load_model(options.model)
    write = model.to_numpy_source if options.numpy else model.to_onnx
    write(out)
    say(f"{out} written ({os.path.getsize(out):,} bytes)")
