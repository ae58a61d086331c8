"""How many small mistakes the tests notice: `make mutants`, or `python -m tools.mutation`.

Tour: `mistakes` makes the mutants of a file, `rooms` names the rooms and their tests, `reach` records which test runs
which line, `trial` runs tests with a mistake in place, `verdicts` chooses the tests of a mutant and says what became of
it, `__main__` has the command, `report` the table and the mutants that docs/mutants.md calls equivalent.
"""
