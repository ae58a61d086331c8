"""The Container Storage Interface over gRPC: calls to a driver, and what a driver of our own is served with.

    driver (calls, with a time limit) ─▶ wire (messages, from csi.proto) ◀─ serving (a driver's socket)

`wire` is the only room that knows how messages become bytes. Which call is due is decided by `rules`, and made by
`controllers.csi`. gRPC takes a seventh of a second to import, so nobody imports this room before a driver is named.

Rules: docs/rules/csi-wire.md
"""
