"""The user of a request, and the user's rights.

    the head of a request ─▶ attributes (the verb, and the thing it is about)
                          └▶ authentication (certificate or token) ─▶ impersonation ─▶ authorization (RBAC, by the roles
                                                                                        and bindings in the store)

`certificates` and `tls` are the server's own identity: the authority, its certificates, the administrator's token, the
kubeconfig. `service_account_tokens` makes tokens and reads them, `token_keys` signs and verifies them. Roles and
accounts are read through `server.kinds.stored_objects`.
"""
