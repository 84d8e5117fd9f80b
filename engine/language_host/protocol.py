"""The messages and the service of `LanguageRuntime`, taken from the Pulumi SDK without importing the SDK.

`import pulumi` takes longer than everything else that the host does. The generated protobuf modules need nothing of
it, so the packages above them are entered into `sys.modules` by their folder alone, unexecuted.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def _enter_packages_unexecuted() -> None:
    if "pulumi" in sys.modules:
        return
    spec = importlib.util.find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the Pulumi SDK is not installed: run `make setup`", name="pulumi")
    folder = Path(spec.origin).parent
    for name in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto"):
        package = ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


_enter_packages_unexecuted()

from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2  # noqa: E402

__all__ = ["language_pb2", "language_pb2_grpc", "plugin_pb2"]
