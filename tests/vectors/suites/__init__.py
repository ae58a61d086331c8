"""One module a suite, named like it with ``-`` as ``_``.

A module has `run(case)`, asynchronous, which returns what is wrong as lines of text: none means the case passes.
"""
