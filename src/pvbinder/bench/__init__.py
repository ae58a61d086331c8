"""How fast claims are bound at an API server, seen from outside: the measures behind `pvbinder bench` and `bench/`.

Whoever binds there is measured: kube-controller-manager or pvbinder. Beside each result stands the *ceiling* of the
same server in the same run: the four writes of a bind with no logic and 64 in flight.

- `place` makes the objects of a run, and takes them away.
- `cases` measures.
- `process` knows the processor time of a process.

BENCH-1  A run touches only what it made: a namespace, volumes and a class of its own, all with its label and name.
BENCH-2  What it made is gone at the end, also after a failure or Ctrl-C; what can't be deleted is named.
"""
