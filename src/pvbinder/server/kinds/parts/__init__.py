"""What kinds are put together from: columns, field selectors, the subresources ``status`` and ``scale``."""
