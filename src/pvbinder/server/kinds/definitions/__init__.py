"""CustomResourceDefinitions: kinds that users bring, served like any other.

Promise: what a structural schema says is what is stored - pruned, defaulted, validated with the reference's words -
and a definition is served as soon as its `Established` condition says so. Left out, and said in docs/apiserver.md:
conversion webhooks (only apiVersion is converted).
"""
