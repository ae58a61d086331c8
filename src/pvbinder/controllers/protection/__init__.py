"""Finalizers that keep claims, volumes and attributes classes while somebody needs them.

Promise: nothing in use is lost, and of what the decisions in `rules.protection` ask for each is one request.
"""
