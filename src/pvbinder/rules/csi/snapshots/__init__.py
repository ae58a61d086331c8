"""Snapshots of volumes: what is to be done about a snapshot or a content, and what is written for it.

    names (finalizers, annotations), secrets (of a class)
    taking (the class, the source, the content that is made) ─▶ contents (what to do about a content)
    statuses (what a content's and a snapshot's status say)

Rules: docs/rules/snapshotter.md
"""
