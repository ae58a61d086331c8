"""Finalizers that keep claims, volumes and attributes classes while somebody needs them.

Promise: nothing in use is lost, and each step that `rules.protection` decides on is one request.
"""
