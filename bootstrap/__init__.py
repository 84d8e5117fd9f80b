"""What `make setup` makes ready besides the engine: the virtual environment, and the Postgres and Redis programs.

Every step looks first, says what it is about to do, does it, and is one line and quick when there is nothing to do.
`venv` runs before anything is installed, so it needs the standard library alone.
"""
