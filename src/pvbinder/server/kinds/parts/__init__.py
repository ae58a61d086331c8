"""The parts that kinds share: columns, field selectors, the subresources ``status`` and ``scale``."""
