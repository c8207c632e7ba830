"""``python -m hcs``."""

from hcs.cli import main

if __name__ == "__main__":
    main()
