"""``python -m hookline.cli``: the same as ``hookline``."""

from hookline.cli import main

if __name__ == "__main__":
    main()
