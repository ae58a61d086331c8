"""The kinds that the server brings: one module for each, or for a few that are much alike.

A module declares a `ServedKind` (`server.objects.kind`): its defaults, what a write may change, its validation, its
columns. `server.kinds.registry` lists them all.

What a module may not do: its functions look nothing up, wait for nothing, look at no clock and raise nothing (KIND-1 to
KIND-4). A rule that must see other objects is admission (`server.api.admission`); a table for one kind that is long has
a file beside it (`pod_columns`, `pod_defaults`).
"""
