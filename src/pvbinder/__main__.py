"""``python -m pvbinder`` is the command `pvbinder`."""

from pvbinder.cli.entry import main

if __name__ == "__main__":
    main()
