"""Unit vectors: cases as data, run against the real code. `python -m tests.vectors DIR` runs any directory of them."""
