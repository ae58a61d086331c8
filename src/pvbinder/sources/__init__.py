"""What people have of a cluster, read into objects: files, databases, backups, and what tools have collected.

Promise: reads only, and says what it left out. No source is trusted: a damaged one, or one that is made to do harm,
ends in a `DumpError`, within bounds of memory and time.

- All of them: `reading` finds out what a path leads to; every command reads files with it. `errors`, `content`.
- Texts: `texts` has YAML and JSON, and lists within lists.
- Databases: `etcd`, over `bolt` and `bolt_pages`; `kine`; `stored` makes objects of their values, `revisions` has the
  moment that is read.
- Both of these have whole clusters: `served` leaves out the kinds that nothing knows here.
- Collections: `archive` reads tar and gzip, `collected` knows where tools put objects.
"""
