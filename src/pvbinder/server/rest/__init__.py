"""The verbs of the API over any served kind: create, read, watch, update, patch, delete.

One module per verb; what they share is `attributes` (what a request asks for), `options` (its query), `negotiation`
(the form of the answer), `shelf` (where the objects of a kind are and how their bytes go out) and `writing` (the way of
a write from a changed object to the store, GW-3). No handler knows a kind by name: what differs is in `ServedKind`.
"""
