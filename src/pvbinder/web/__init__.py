"""The live page: what a cluster's storage is like, and why, in a browser on this machine.

Promise: it shows and never writes; nothing is told to anybody who hasn't come by a link that this process printed.

- Who gets in: `sessions` (one-time links, and those who came by one), `screening` (what no request may be).
- What is shown: `rows` (objects as rows, a pure function), `objects` (where the objects are), `feed` (rows and changes
  for one reader), `asking` (an object's explanation).
- How it is served: `answers` (heads, JSON, the files of `static/`), `page` (paths, and the listener).
"""
