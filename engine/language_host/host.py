"""The language host in a fork of the warm interpreter."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])

from engine.language_host.server import main  # noqa: E402

if __name__ == "__main__":
    main(sys.argv[1:])
