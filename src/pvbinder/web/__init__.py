"""The live page: what a cluster's storage is like, and why, in a browser on this machine.

Promise: it shows and never writes; nothing is told to anybody who hasn't come by a link that this process printed.

- Who gets in: `sessions` (one-time links, and those who came by one), `screening` (what no request may be).
- What is shown: `rows` (objects as rows, a pure function), `objects` (where the objects are), `feed` (rows and changes
  for one reader).
- Why it is so: `asking` (an object's explanation), `judging` (the verdict on each claim), `journal` and `fields` (what
  was decided, with what changed), `planning` and `plan_process` (what manifests would do).
- Where it comes from: `plane` (`pvbinder up`), `opening` (any cluster, or files).
- How it is served: `answers` (heads, JSON, the files of `static/`), `page` (paths, and the listener).
"""
