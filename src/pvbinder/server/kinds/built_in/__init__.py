"""The kinds that the server brings: one module for each, or for a few that are much alike.

A module declares a `ServedKind` (`server.objects.kind`): its defaults, what a write may change, its validation, its
columns. `server.kinds.registry` lists them all.
"""
