"""The line to an API server: configuration, requests, watches into caches, queues, events, leases.

Promise: one request path for HTTP and for the in-process server; every retry is bounded and jittered.
"""
