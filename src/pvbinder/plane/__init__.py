"""The control plane in one process: the embedded server, the controllers beside it, and what both begin with.

Promise: the same for ``pvbinder up`` and for the tests of others (`pvbinder.testing`); what is shown of it, and how its
flags are read, is theirs.

- `control_plane` puts the parts together, from `options`; `ports` chooses where it listens.
- `starter` has the objects that it begins with, `driver_place` the place of the local driver, `users` who the
  controllers are at the server.
- `recorder` has what happened in one: requests, and what the controllers decided.
"""
