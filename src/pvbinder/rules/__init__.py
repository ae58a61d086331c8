"""Every decision of the volume control plane, as pure functions.

Promise: pure, total, deterministic; a reason for every outcome. No I/O, no clock, no logging: time is an argument.
"""
