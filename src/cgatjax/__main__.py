"""Command line as `python -m cgatjax`."""

from cgatjax.cli import main

if __name__ == "__main__":
    main()
