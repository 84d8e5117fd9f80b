"""The front process of a dynamic provider: hands the provider over to the warm interpreter, or becomes it, cold.

The engine starts it through `.engine/bin/pulumi-resource-pulumi-python` with -S, so it enters its own path by hand.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 (pathlib takes longer than all the rest)
sys.path[0] = os.path.dirname(os.path.dirname(_HERE))  # noqa: PTH120

from engine.language_host.handover import NotWarm, stand_in_front  # noqa: E402

PROVIDER = f"{_HERE}/dynamic.py"

if __name__ == "__main__":
    try:
        stand_in_front(PROVIDER, sys.argv[1:])
    except NotWarm:
        os.execv(sys.executable, [sys.executable, "-u", PROVIDER, *sys.argv[1:]])
