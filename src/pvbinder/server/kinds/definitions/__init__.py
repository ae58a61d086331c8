"""CustomResourceDefinitions: kinds that users bring, served like any other.

Promise: objects are stored as their structural schema demands - pruned, defaulted, validated with the reference's
words - and a kind is served as soon as the `Established` condition of its definition says so. Conversion webhooks are
left out (docs/apiserver.md): nothing is lost without them (`webhook_conversion`).
"""
