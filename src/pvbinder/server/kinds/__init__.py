"""The kinds that are served: what each is by default, what makes it valid, what may change, and how it is shown.

    registry (all that is served) ─▶ built_in (one module a kind) ─▶ definitions (kinds that users bring)
                                          └─▶ parts (columns, status, scale) ─▶ validation (what makes a value valid)

A kind is declared, not programmed: `server.objects.kind` says what can be declared. Rules that need to see other
objects are admission (`server.api.admission`). `storage` is where the objects of a kind are in the store, and how their
bytes go out; `stored_objects` is what may be read of all kinds, for those who only read, and `totals` what those of a
namespace amount to.
"""
