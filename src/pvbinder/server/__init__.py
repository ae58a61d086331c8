"""The embedded API server: storage, served kinds, admission, patches, tables, discovery, TLS and identity.

Promise: kubectl and client-go can't tell it from kube-apiserver for the kinds it serves, and an acknowledged write
survives ``kill -9``. It knows `model` only, nothing of the controllers.
"""
