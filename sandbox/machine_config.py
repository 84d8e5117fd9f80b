"""A machine's config: what Fly accepts, how it reads back, and what it means for the process that runs.

Plain functions over the wire's dicts; no machine and no world in here."""

import copy
import hashlib
import json
import re
import signal
from collections.abc import Mapping
from typing import Any

from sandbox.host import LaunchSpec
from sandbox.refusal import bad_request
from sandbox.state import App, Machine, Settings, Version

ONE_OFF = "fly_app_release_command"
"""The group of machines that run one task and are gone."""
_SHARED_CPUS = {1, 2, 4, 6, 8}
_PERFORMANCE_CPUS = {1, 2, 4, 6, 8, 10, 12, 14, 16, 32, 64, 128}


def accept(config: Any) -> dict[str, Any]:
    """The config as Fly keeps it: defaults filled in, autostop as it reads back. Refusal 400 if it is not one."""
    if not isinstance(config, dict):
        raise bad_request("invalid_argument: config must be an object")
    if not isinstance(config.get("image"), str) or not config["image"]:
        raise bad_request("invalid_argument: config.image is required")
    _refuse_wrong_types(config)
    kept = copy.deepcopy(config)
    kept["init"] = kept.get("init") or {}
    guest = kept.get("guest") or {}
    kept["guest"] = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256, **guest}
    _refuse_bad_guest(kept["guest"])
    for service in kept.get("services") or []:
        if "autostop" in service:
            service["autostop"] = _autostop_read_back(service["autostop"])
    return kept


def _refuse_wrong_types(config: Mapping[str, Any]) -> None:
    """So that whatever reads a config later finds in it what it expects."""
    for section in ("guest", "init", "restart", "stop_config", "checks"):
        _expect(isinstance(config.get(section), dict | None), section, "an object")
    for section in ("env", "metadata"):
        _expect(_is_text_map(config.get(section)), section, "a map of names to strings")
    for section in ("services", "processes", "mounts", "standbys"):
        _expect(isinstance(config.get(section), list | None), section, "a list")
    for process in config.get("processes") or []:
        _expect(
            isinstance(process, dict) and _is_text_map(process.get("env")), "processes", "a list of processes"
        )
    for section in (config.get("init") or {}, *(config.get("processes") or [])):
        for words in ("exec", "entrypoint", "cmd"):
            _expect(_is_words(section.get(words)), words, "a list of strings")
    checks = list((config.get("checks") or {}).values())
    for service in config.get("services") or []:
        _expect(isinstance(service, dict), "services", "a list of objects")
        _expect(isinstance(service.get("internal_port"), int | None), "services.internal_port", "a number")
        _expect(isinstance(service.get("checks"), list | None), "services.checks", "a list")
        checks += service.get("checks") or []
    for check in checks:
        _expect(isinstance(check, dict), "checks", "objects")
        for times in ("interval", "timeout", "grace_period"):
            if check.get(times) not in (None, ""):
                duration_seconds(check[times])
    stop_settings(config)


def _expect(right: bool, name: str, what: str) -> None:
    if not right:
        raise bad_request(f"invalid_argument: config.{name} must be {what}")


def _is_words(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(word, str) for word in value))


def _is_text_map(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(v, str) for v in value.values()))


def _autostop_read_back(value: Any) -> Any:
    """`off` and `stop` read back as booleans, for clients older than the words."""
    return {"off": False, "stop": True}.get(value, value) if isinstance(value, str) else value


def _refuse_bad_guest(guest: Mapping[str, Any]) -> None:
    kind, cpus, memory = guest["cpu_kind"], guest["cpus"], guest["memory_mb"]
    if kind not in ("shared", "performance"):
        raise bad_request(f"invalid_argument: invalid config.guest.cpu_kind '{kind}'")
    if not isinstance(cpus, int) or not isinstance(memory, int):
        raise bad_request("invalid_argument: config.guest.cpus and config.guest.memory_mb must be integers")
    shared = kind == "shared"
    if cpus not in (_SHARED_CPUS if shared else _PERFORMANCE_CPUS):
        raise bad_request(f"invalid_argument: invalid config.guest.cpus {cpus} for cpu_kind {kind}")
    step, least, most = (256, 256 * cpus, 2048 * cpus) if shared else (1024, 2048 * cpus, 8192 * cpus)
    if memory < least:
        raise bad_request(f"invalid_argument: invalid config.guest.memory_mb, minimum required {least} MiB")
    if memory > most:
        raise bad_request(f"invalid_argument: invalid config.guest.memory_mb, cannot exceed {most} MiB")
    if memory % step:
        raise bad_request(
            f"invalid_argument: invalid config.guest.memory_mb, must be in a {step} MiB increment"
        )


def image_ref(image: str) -> dict[str, Any]:
    """The parts of an image's name, with a digest made from the name: nothing is pulled here."""
    name, _, digest = image.partition("@")
    head, slash, rest = name.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        registry, path = head, rest
    else:
        registry, path = "registry-1.docker.io", name if slash else f"library/{name}"
    repository, _, tag = path.partition(":")
    return {
        "registry": registry,
        "repository": repository,
        "tag": tag or ("" if digest else "latest"),
        "digest": digest or "sha256:" + hashlib.sha256(name.encode()).hexdigest(),
        "labels": {},
    }


def can_be_pulled(config: Mapping[str, Any]) -> bool:
    """No, if the tag says `missing`: the sandbox's way of naming an image that its registry does not have."""
    return "missing" not in str(image_ref(config["image"])["tag"])


def command(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What the machine runs: the first process' words, else init's; () means the image's own."""
    processes = config.get("processes") or [{}]
    for section in (processes[0], config.get("init") or {}):
        if words := section.get("exec"):
            return tuple(words)
        if words := [*(section.get("entrypoint") or []), *(section.get("cmd") or [])]:
            return tuple(words)
    return ()


def stop_settings(config: Mapping[str, Any]) -> tuple[int, float]:
    """Signal and patience (seconds) for stopping this machine; Fly's defaults are SIGINT and 5 s."""
    wanted = config.get("stop_config") or {}
    signal_number = signal_of(wanted["signal"]) if wanted.get("signal") else 2
    seconds = duration_seconds(wanted["timeout"]) if wanted.get("timeout") else 5.0
    return signal_number, seconds


def signal_of(name: Any) -> int:
    """A signal's number from its name or number, as clients send both. Refusal 400 for anything else."""
    if isinstance(name, int) and not isinstance(name, bool) and 0 < name < 65:
        return name
    if isinstance(name, str):
        if name.isdigit():
            return signal_of(int(name))
        word = name.upper() if name.upper().startswith("SIG") else f"SIG{name.upper()}"
        if word in signal.Signals.__members__:
            return int(signal.Signals[word])
    raise bad_request("invalid_argument: invalid signal")


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_seconds(value: Any) -> float:
    """Seconds of a Go duration (`1m30s`) or of an integer in nanoseconds. Refusal 400 for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value / 1e9
    if isinstance(value, str) and value:
        if value == "0":
            return 0.0
        parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", value)
        if parts and "".join(number + unit for number, unit in parts) == value:
            return sum(float(number) * _UNITS[unit] for number, unit in parts)
    raise bad_request("invalid_argument: invalid duration")


def environment(app: App, machine: Machine, version: Version, settings: Settings) -> dict[str, str]:
    """Exactly the environment that the machine's process gets; an app secret wins over a config entry of its name."""
    config = version.config
    process = (config.get("processes") or [{}])[0]
    env = {
        "SANDBOX_BOOT_SECONDS": f"{settings.boot_seconds:g}",
    }
    if (need := settings.memory_need_mb.get(machine.group)) is not None:
        env["SANDBOX_MEMORY_NEED_MB"] = str(need)
    if settings.migration:
        env["SANDBOX_MIGRATION"] = json.dumps(settings.migration)
        if machine.group == ONE_OFF and (memory := settings.migration.get("memory_mb")):
            env["SANDBOX_MEMORY_NEED_MB"] = str(memory)
    if settings.fill_pools:
        env["SANDBOX_FILL_POOLS"] = "1"
    if app.never_healthy:
        env["SANDBOX_NEVER_HEALTHY"] = "1"
    env.update(config.get("env") or {})
    env.update(process.get("env") or {})
    env.update(
        FLY_APP_NAME=app.name,
        FLY_MACHINE_ID=machine.id,
        FLY_ALLOC_ID=machine.id,
        FLY_MACHINE_VERSION=version.instance_id,
        FLY_PROCESS_GROUP=machine.group,
        FLY_REGION=machine.region,
        FLY_PRIVATE_IP=machine.private_ip,
        FLY_IMAGE_REF=config["image"],
        FLY_VM_MEMORY_MB=str(config["guest"]["memory_mb"]),
    )
    if not process.get("ignore_app_secrets"):
        env.update(version.secrets)
    for entry in process.get("secrets") or []:
        name = entry.get("name") or entry["env_var"]
        if name in version.secrets:
            env[entry["env_var"]] = version.secrets[name]
    return env


def launch_spec(app: App, machine: Machine, version: Version, settings: Settings) -> LaunchSpec:
    """What the host is told to run."""
    return LaunchSpec(
        app=app.name,
        machine_id=machine.id,
        instance_id=version.instance_id,
        group=machine.group,
        command=command(version.config),
        env=environment(app, machine, version, settings),
        memory_mb=version.config["guest"]["memory_mb"],
    )
