"""The command `xpnet`, also as `python -m xpnet`: heeds signals before anything else is loaded."""

import gc
import os
import sys


def run() -> int:
    """Run the command line; Ctrl-C ends it with one line, also while it is being loaded."""
    gc.set_threshold(10_000)  # imports make many objects, and hardly any garbage
    try:
        import signal

        signal.signal(signal.SIGINT, lambda number, frame: _stop())
        from xpnet.cli.main import main
    except KeyboardInterrupt:
        _stop()
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done
    gc.freeze()  # Python need not look through all that was imported once more: a tenth of a second
    return status


def _stop() -> None:
    os.write(2, b"xpnet: stopped by SIGINT.\n")
    os._exit(130)


if __name__ == "__main__":
    sys.exit(run())
