"""`python -m worker` is `qida`."""

from worker.cli import main

if __name__ == "__main__":
    main()
