"""The host's process: serve on a free port, print the port for the engine, and leave nothing behind at the end."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path

import grpc

from engine.language_host.attended import when_the_engine_is_gone
from engine.language_host.child import stop_all
from engine.language_host.protocol import language_pb2_grpc
from engine.language_host.service import Engine, LanguageHost

CALLS_AT_ONCE = 16


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGINT or SIGTERM, or until the engine is gone; then end the children and the process."""
    parser = argparse.ArgumentParser(prog="pulumi-language-python")
    parser.add_argument("--engine-process", type=int, required=True)
    parser.add_argument("--tracing", default="")
    parser.add_argument("--executor", type=Path, required=True)
    parser.add_argument("engine_address", nargs="?", default="")
    options, _ = parser.parse_known_args(arguments)

    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    when_the_engine_is_gone(done.set)

    server = grpc.server(
        futures.ThreadPoolExecutor(CALLS_AT_ONCE), options=[("grpc.max_receive_message_length", -1)]
    )
    host = LanguageHost(
        Engine(options.engine_process, options.engine_address),
        options.executor,
        dict(os.environ),
        options.tracing,
    )
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    done.wait()
    stop_all()
    sys.stdout.flush()
    # Without the goodbyes of gRPC's threads: the engine waits for this process to end.
    os._exit(0)
