"""Python imports this in each process that a test of a mutant starts: so it has the mistake, too."""

from tools.mutation.changed import put_in_place_as_told

put_in_place_as_told()
