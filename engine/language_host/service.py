"""The `LanguageRuntime` service: what the engine may ask of a language, and the answers.

Each answer is short; starting and stopping processes is in `child`, choosing a Python in `interpreter`, and what is
installed in it in `packages`.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import grpc
from google.protobuf import empty_pb2

from engine.language_host import interpreter
from engine.language_host.child import Child, PythonRun
from engine.language_host.protocol import language_pb2, language_pb2_grpc, plugin_pb2

EXIT_MESSAGE_SHOWN = 32
"""What the executor exits with after it has shown the error itself; the engine must then add nothing."""


@dataclass
class Engine:
    """The engine that this host serves: its process id, and where it listens."""

    process: int
    address: str


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs Python programs and policy packs for `engine`.

    `executor` is the SDK's `pulumi-language-python-exec`, and `environment` what children start with.
    """

    def __init__(self, engine: Engine, executor: Path, environment: Mapping[str, str], tracing: str) -> None:
        self._engine = engine
        self._executor = executor
        self._environment = environment
        self._tracing = tracing

    # Who is there

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._engine.address = request.engine_address or self._engine.address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo()

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        # Nothing to do: the engine also ends the calls under way, and their children with them.
        return empty_pb2.Empty()

    def About(self, request: Any, context: grpc.ServicerContext) -> Any:
        python = self._interpreter(request.info, context)
        return language_pb2.AboutResponse(executable=python.executable, version=python.version())

    # Running

    def Run(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.attach_debugger:
            _refuse(context, "attaching a debugger")
        python = self._interpreter(request.info, context)
        environment = {
            **python.environment,
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        run = PythonRun(python.executable, [str(self._executor), *self._executor_arguments(request)])
        with _started(
            self._engine, context, run, request.pwd or request.info.program_directory, environment
        ) as child:
            return _run_response(child.wait())

    def _executor_arguments(self, request: Any) -> list[str]:
        named = {
            "monitor": request.monitor_address,
            "engine": self._engine.address,
            "project": request.project,
            "stack": request.stack,
            "pwd": request.pwd,
            "dry_run": "true" if request.dryRun else "false",
            "parallel": str(request.parallel),
            "tracing": self._tracing,
            "organization": request.organization,
            "root_directory": request.info.root_directory,
        }
        arguments = [part for name, value in named.items() if value for part in (f"--{name}", value)]
        program = Path(request.info.program_directory, request.info.entry_point or ".")
        return [*arguments, str(program), *request.args]

    def RunPlugin(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        environment = dict(entry.split("=", 1) for entry in request.env if "=" in entry)
        python = self._interpreter(request.info, context, environment or self._environment)
        folder = request.info.program_directory
        if request.kind == "analyzer":
            run = PythonRun(python.executable, ["", *request.args, folder], module="pulumi.policy")
        else:
            run = PythonRun(python.executable, [folder, *request.args])
        with _started(
            self._engine, context, run, request.pwd or folder, python.environment, capture=True
        ) as child:
            for name, chunk in child.output():
                if name == "stdout":
                    yield language_pb2.RunPluginResponse(stdout=chunk)
                else:
                    yield language_pb2.RunPluginResponse(stderr=chunk)
            yield language_pb2.RunPluginResponse(exitcode=child.wait())

    # What is installed, and installing it

    def GetRequiredPackages(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    name=plugin.name, kind="resource", version=plugin.version, server=plugin.server
                )
                for plugin in self._plugins(request.info, context)
            ]
        )

    def GetRequiredPlugins(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.GetRequiredPluginsResponse(
            plugins=[
                plugin_pb2.PluginDependency(
                    name=plugin.name, kind="resource", version=plugin.version, server=plugin.server
                )
                for plugin in self._plugins(request.info, context)
            ]
        )

    def GetProgramDependencies(self, request: Any, context: grpc.ServicerContext) -> Any:
        from engine.language_host import packages

        folders = self._interpreter(request.info, context).site_packages()
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=package.name, version=package.version)
                for package in packages.installed(folders, transitive=request.transitiveDependencies)
            ]
        )

    def InstallDependencies(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        from engine.language_host import dependencies

        root = request.info.root_directory
        for step in dependencies.steps(root, _options(request.info), self._environment):
            yield language_pb2.InstallDependenciesResponse(stdout=f"{step.says}\n".encode())
            with _started(self._engine, context, step.run, root, self._environment, capture=True) as child:
                for _, chunk in child.output():
                    yield language_pb2.InstallDependenciesResponse(stdout=chunk)
                if code := child.wait():
                    context.abort(grpc.StatusCode.INTERNAL, f"{step.says} failed with exit code {code}")

    def RuntimeOptionsPrompts(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def Template(self, request: Any, context: grpc.ServicerContext) -> Any:
        return language_pb2.TemplateResponse()

    # What only an official release can

    def GenerateProgram(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse(context, "generating programs")

    def GenerateProject(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse(context, "generating projects")

    def GeneratePackage(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse(context, "generating packages")

    def Pack(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse(context, "packing packages")

    def Link(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        _refuse(context, "linking packages")

    def _plugins(self, info: Any, context: grpc.ServicerContext) -> list[Any]:
        from engine.language_host import packages

        return packages.plugins(self._interpreter(info, context).site_packages())

    def _interpreter(
        self, info: Any, context: grpc.ServicerContext, environment: Mapping[str, str] | None = None
    ) -> interpreter.Interpreter:
        try:
            return interpreter.find(info.root_directory, _options(info), environment or self._environment)
        except interpreter.NoInterpreter as error:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, str(error))


class _started:
    """A child that ends with the call it serves, however the call ends."""

    def __init__(
        self,
        engine: Engine,
        context: grpc.ServicerContext,
        run: PythonRun,
        cwd: str,
        environment: Mapping[str, str],
        capture: bool = False,
    ) -> None:
        try:
            self._child = Child(run, engine=engine.process, cwd=cwd, env=environment, capture=capture)
        except OSError as error:
            _abort(
                context,
                grpc.StatusCode.FAILED_PRECONDITION,
                f"cannot start {run.executable}: {error.strerror}",
            )
        if not context.add_callback(self._child.stop_soon):
            self._child.stop_soon()

    def __enter__(self) -> Child:
        return self._child

    def __exit__(self, *_: object) -> None:
        self._child.stop_soon()


def _options(info: Any) -> dict[str, object]:
    return {name: value.string_value for name, value in info.options.fields.items()}


def _run_response(code: int) -> Any:
    if code == 0:
        return language_pb2.RunResponse()
    if code == EXIT_MESSAGE_SHOWN:
        return language_pb2.RunResponse(bail=True)
    if code < 0:
        return language_pb2.RunResponse(error=f"The program was ended by {signal.Signals(-code).name}")
    return language_pb2.RunResponse(error=f"The program exited with code {code}")


def _refuse(context: grpc.ServicerContext, what: str) -> NoReturn:
    _abort(
        context,
        grpc.StatusCode.UNIMPLEMENTED,
        f"{what} is not something that this language host can do: it runs programs and policy packs. "
        "Install an official Pulumi release for it (https://www.pulumi.com/docs/install/).",
    )


def _abort(context: grpc.ServicerContext, code: grpc.StatusCode, message: str) -> NoReturn:
    context.abort(code, message)
    raise AssertionError("abort always raises")
