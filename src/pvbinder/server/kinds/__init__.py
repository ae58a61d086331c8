"""The served kinds, as data: adding a kind to the server is one declaration."""
