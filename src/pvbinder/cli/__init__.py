"""The commands and their output. Imports late: ``pvbinder --help`` must answer within 0.2 s."""

import time

STARTED = time.perf_counter()  # so that "ready in 0.4 s" counts the imports too
