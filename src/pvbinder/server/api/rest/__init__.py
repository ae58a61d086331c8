"""The verbs of the API over any served kind: create, read, watch, update, patch, delete.

One module per verb; what they share is `options` (the query) and `write_request` (the way of a write from its body to
the store, GW-3), `server.identity.attributes` (what a request asks for), `server.api.negotiation` (the form of the
answer) and `server.kinds.storage` (where the objects of a kind are and how their bytes go out). No handler knows a kind
by name: `ServedKind` has the differences.
"""
