"""The loops: binder, protection and their neighbours, and the manager that starts them by name.

Promise: one writer per claim-volume pair; a bind costs exactly its writes; an idle cluster costs no requests.
"""
