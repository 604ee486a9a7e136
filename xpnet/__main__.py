"""`python -m xpnet`: the same as the command `xpnet`."""

import sys

from xpnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
