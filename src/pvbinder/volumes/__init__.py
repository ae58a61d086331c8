"""In-tree volume plugins: what can create, delete or scrub the storage behind a volume.

Promise: a plugin never talks to the API server.
"""
