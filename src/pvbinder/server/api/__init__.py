"""The answers of the server: the way of a request from its head to the answer, the verbs, and the documents.

    an ApiRequest ─▶ dispatch (who asks? may they?) ─▶ rest (the verbs over any kind) ─▶ admission ─▶ the store
                        └─▶ health, discovery, openapi (documents)          └─▶ negotiation, tables (the answer's form)

Beside them: `establisher` serves what definitions define, `loading` brings in objects to begin with, `expiry` removes
old events, `aside` is where heavy work is done, `measures` counts. Read `dispatch.py` for the promises, then
`rest/__init__.py`.
"""
