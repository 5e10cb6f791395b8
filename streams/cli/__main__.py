"""`python -m streams.cli`: the command line where no console script is installed."""

from streams.cli import main

if __name__ == "__main__":
    main(prog_name="visualsearch")
