"""explain, plan, audit, simulate: the rules without the writes.

Promise: never writes unless asked to, and then shows the difference first.
"""
