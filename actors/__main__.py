"""`python -m actors` is `linewarden`."""

from actors.cli import main

if __name__ == "__main__":
    main()
