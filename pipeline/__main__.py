"""Entry of `facetopix` and `python -m pipeline`; a Ctrl-C while the imports are under way ends like any other."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from pipeline.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("facetopix: interrupted before it began\n")
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
