"""From sockets to requests and back: TLS connections, HTTP/1.1 and HTTP/2, and what keeps one client from all others.

    a connection ─▶ door (how many) ─▶ http (HTTP/1.1) or http2, frames, http2_streams ─▶ messages (the head, the body)
                                                └─▶ turns, ledgers (time and memory) ─▶ an ApiRequest for the handler

Nothing here knows a path or a kind: a listener gets two functions: one handles a request, the other may refuse it by
its head. Read `http.py` for the promises and `messages.py` for the parts that both versions of HTTP share.
"""
