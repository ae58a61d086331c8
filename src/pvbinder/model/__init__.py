"""Kubernetes objects as values: types, quantities, selectors, well-known names.

Promise: no I/O, no asyncio; parsing never loses a field that is later written back.
"""
