"""In-tree volume plugins: they create, delete or scrub the storage behind a volume.

Promise: a plugin never talks to the API server.

- `plugin`: what a plugin is, and the named outcomes of what it does. Read this to write one.
- `catalogue`: the plugins of a process, as decisions see them and as those who carry out decisions use them.
- `calls`: the one way to call a plugin, which keeps it from hurting others.
- `loading`: the in-tree plugins, and those that other packages bring.
- `host_path`, `nfs`: the in-tree plugins; `removal` (over `directories`) and `recycler` are what they
  need.
"""
