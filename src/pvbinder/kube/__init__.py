"""The line to an API server: configuration, requests, watches into caches, queues, events, leases.

Promise: one request path for HTTP and for the in-process server; every retry is bounded and jittered.

- A request: `client` (verbs for any kind) over a `transport`: `http` or `in_process`. `config` and `credentials` say
  where and as whom, `pacing` how many in a second, `retries` how often again, `errors` what went wrong, `answers` and
  `documents` whether it is an answer at all.
- A cache: `informer` (list, then watch; or a `streaming_list`) of an `object_cache`, with `informer_statistics`,
  `informers` (those that are shared), `changes` (what handlers hear), `index`, `history` (do all tell of one server?).
- What can't be undone takes proof, not a cache: `proof` (is it gone?), `evidence` (is nothing left?), `served`.
- Work: `queue` (one task a key, back-off, delays). What people read: `events`.
- `kinds` are the kinds that we read, `discovery` those that a server has, `lines` a stream cut into lines, `socks` a
  proxy.
"""
