"""The commands and their output. Imports late: ``pvbinder --help`` must answer within 0.2 s.

Promise: an answer first, then the evidence, then the way out. Results go to stdout, all else to stderr.

- `entry` is the script. `main` has the commands, and the boundary at which an error becomes words and an exit code
  (`errors`).
- ``up``: `up` (what it accepts), `serve` (from start to stop; the room ``plane/`` runs), `apply`, `child`, `live`
  with `board`. ``controller``: `controller`, `control`, `controller_flags`.
- ``explain``: `explain`, `questions`. ``export`` and ``recover``: one module each.
- For all: `options`, `output`, `signals`, `loops`, `completion`.
"""

import time

STARTED = time.perf_counter()  # so that "ready in 0.4 s" counts the imports too
