"""Files and directories on this machine: private ones, temporary ones, and the errors of a disk.

Promise: a file with a secret is never open to others, not for a moment, and is written whole or not at all.
"""
