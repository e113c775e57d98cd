"""`python -m pipeline ...`: the same commands as `facetopix ...`."""

from pipeline.cli import main

if __name__ == "__main__":
    main()
