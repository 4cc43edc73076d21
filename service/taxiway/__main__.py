"""`python -m taxiway`: the same program as `taxiway`."""

from taxiway.cli import main

if __name__ == "__main__":
    main()
