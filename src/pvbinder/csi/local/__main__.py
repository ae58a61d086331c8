"""The process that `process` starts: it serves the driver that it is told of, until its stdin is closed."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Serve, and return the exit code."""
    os.setpgid(0, 0)  # before anything that takes time: a Ctrl-C from now on is not for us (LOCALPROCESS-3)
    gc.disable()  # until it serves: what is imported stays, and to look through it is a twentieth of the start
    from pvbinder.csi.local.process import serve_as_told

    return serve_as_told(sys.argv[1].encode())


if __name__ == "__main__":
    sys.exit(main())
