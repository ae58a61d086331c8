"""The embedded API server: storage, served kinds, admission, patches, tables, discovery, TLS and identity.

Promise: kubectl and client-go can't tell it from kube-apiserver for the kinds it serves, and an acknowledged write
survives ``kill -9``. It knows nothing of the controllers. Below it are `model`, and those of the `rules` that both must
agree on: a contract in `pyproject.toml` lists them.

Its floors, each of which knows only those below it; the tour of each is in its own ``__init__``:

    embedded.py   puts the floors together
    wire          connections, HTTP/1.1 and HTTP/2
    api           dispatch, the verbs, admission, discovery, OpenAPI, tables
    identity      who asks, and what they may do
    kinds         the kinds that are served, and what makes an object valid
    objects       an object of any kind as a value: schema, patches, apply, managed fields
    store         revisions, history, and the disk
    files         files and directories on this machine

All floors share `errors.py` (how the API says no) and `requests.py` (a request and its answer, free of any transport).
"""
