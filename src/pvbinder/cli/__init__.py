"""The commands and their output. Imports late: ``pvbinder --help`` must answer within 0.2 s."""
