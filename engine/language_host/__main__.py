"""The front process of the language host: hands it over to the warm interpreter, or becomes it, cold.

The engine starts it through `.engine/bin/pulumi-language-python` with -S, so it enters its own path by hand. The first
host of a command starts the warm interpreter, for itself and for everything that follows.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib takes longer than all the rest)
_ROOT = os.path.dirname(os.path.dirname(_HERE))  # noqa: PTH120
sys.path[0] = _ROOT

from engine.language_host.handover import NotWarm, stand_in_front, warm_up  # noqa: E402

if __name__ == "__main__":
    arguments = ["--engine-process", str(os.getppid()), *sys.argv[1:]]
    warm_up(os.getppid(), os.environ)
    try:  # noqa: SIM105 (contextlib takes longer than all the rest)
        stand_in_front(f"{_HERE}/host.py", arguments)
    except NotWarm:
        pass
    venv = os.path.dirname(os.path.dirname(sys.executable))  # noqa: PTH120
    sys.path.insert(1, f"{venv}/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")

    from engine.language_host.server import main

    main(arguments)
