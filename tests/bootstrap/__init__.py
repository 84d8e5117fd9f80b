"""`make setup` up to the engine: what it says and does on machines that lack something."""
