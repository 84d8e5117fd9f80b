"""The stand-in Chatwoot: what Rails makes of its settings, and what the routes answer with which database."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from sandbox.chatwoot import settings, task
from sandbox.chatwoot.command import NotModelled, rails_tasks, role_of, simple_commands
from sandbox.chatwoot.log import Log
from sandbox.chatwoot.settings import BootError
from sandbox.host import Exit, LaunchSpec
from sandbox.runtime import Runtime
from sandbox.services import Endpoints
from sandbox.services.endpoints import load_or_create
from tests.world import World

WEB = ("bundle", "exec", "rails", "server", "-p", "3000", "-b", "0.0.0.0")


# Settings


@pytest.mark.parametrize(
    ("command", "name", "port"),
    [
        (WEB, "web", 3000),
        (
            ("sh", "-c", "bundle exec rails ip_lookup:setup && bin/rails server -p 4000 -e production"),
            "web",
            4000,
        ),
        (("bundle", "exec", "rails", "s", "-b", "127.0.0.1"), "web", None),
        (("bundle", "exec", "puma", "--port=8080"), "web", 8080),
        (("bundle", "exec", "sidekiq", "-C", "config/sidekiq.yml"), "worker", None),
        (("bundle", "exec", "rails", "db:chatwoot_prepare"), "task", None),
        (("sleep", "inf"), "sleep", None),
        ((), "nothing", None),
    ],
)
def test_the_command_decides_the_role(command: tuple[str, ...], name: str, port: int | None) -> None:
    role = role_of(command)
    assert (role.name, role.port) == (name, port)


@pytest.mark.parametrize(
    ("script", "words", "env"),
    [
        (
            'A="$OTHER" B=x exec bundle exec rails db:x',
            ("bundle", "exec", "rails", "db:x"),
            {"A": "o p", "B": "x"},
        ),
        ("A=$OTHER run", ("run",), {"A": "o p"}),
        ("A='$OTHER' run", ("run",), {"A": "$OTHER"}),
        ('A="a${OTHER}b" run', ("run",), {"A": "ao pb"}),
        ('A="$NONE" run', ("run",), {"A": ""}),
        (r'A="\$OTHER \"q\"" run', ("run",), {"A": '$OTHER "q"'}),
        (r"A=a\ b run", ("run",), {"A": "a b"}),
        ("run A=b", ("run", "A=b"), {}),
        ("'A=b' run", ("A=b", "run"), {}),
        ("run ''", ("run", ""), {}),
        ("A=x\n", (), {}),
    ],
)
def test_a_shells_assignments_and_variables(script: str, words: tuple[str, ...], env: dict[str, str]) -> None:
    found = simple_commands(("sh", "-c", script), {"OTHER": "o p"})
    assert [simple.words for simple in found] == ([words] if words else [])
    assert all(simple.env == {"OTHER": "o p", **env} for simple in found)


def test_a_shells_commands_follow_each_other() -> None:
    found = simple_commands(("sh", "-c", "cd /app && A=1 false; echo b\necho c"), {})
    assert [(s.words, s.after, dict(s.env)) for s in found] == [
        (("cd", "/app"), ";", {}),
        (("false",), "&&", {"A": "1"}),
        (("echo", "b"), ";", {}),
        (("echo", "c"), ";", {}),
    ]
    assert task.run(("sh", "-c", "false && echo no; echo yes"), {}) == (0, "yes\n", "")
    assert simple_commands(("echo", "$HOME"), {"HOME": "/x"})[0].words == ("echo", "$HOME"), (
        "no shell, no variables"
    )


@pytest.mark.parametrize("script", ["a | b", "a || b", "a &", "echo $(date)", "echo `date`", "echo 'open"])
def test_more_than_that_a_shell_is_not(script: str) -> None:
    with pytest.raises(NotModelled):
        simple_commands(("sh", "-c", script), {})
    code, _, errors = task.run(("sh", "-c", script), {})
    assert code == 127
    assert "the stand-in's shell knows" in errors


def test_rails_tasks_are_told_from_rails_other_commands() -> None:
    assert rails_tasks(("bundle", "exec", "rails", "db:migrate", "A=b", "-s", "db:x")) == (
        "db:migrate",
        "db:x",
    )
    assert rails_tasks(("bin/rails", "db:migrate")) == rails_tasks(("rake", "db:migrate")) == ("db:migrate",)
    assert rails_tasks(("rails", "server")) == rails_tasks(("echo", "db:migrate")) == rails_tasks(()) == ()


def test_port_comes_from_the_environment_unless_given() -> None:
    assert role_of(("rails", "server"), "5000").port == 5000
    assert role_of(("rails", "server", "-p", "3000"), "5000").port == 3000


def test_database_url_wins_part_by_part() -> None:
    env = {
        "DATABASE_URL": "postgresql://role%40x:p%2Fw@db.example/",
        "POSTGRES_HOST": "other",
        "POSTGRES_PORT": "6543",
        "POSTGRES_DATABASE": "chat",
        "POSTGRES_PASSWORD": "other",
    }
    target = settings.database(env)
    assert (target.user, target.password, target.host) == ("role@x", "p/w", "db.example")
    assert (target.port, target.database) == (6543, "chat")


def test_a_url_tells_rails_of_prepared_statements_and_locks() -> None:
    found = settings.database({"DATABASE_URL": "postgres://a:b@c:1/x"})
    assert (found.prepared_statements, found.advisory_locks) == (True, True)
    query = "prepared_statements=false&advisory_locks=false"
    found = settings.database({"DATABASE_URL": f"postgres://a:b@c:1/x?{query}"})
    assert (found.prepared_statements, found.advisory_locks) == (False, False)
    found = settings.database({"DATABASE_URL": "postgres://a:b@c:1/x?prepared_statements=no"})
    assert found.prepared_statements is True


def test_without_a_url_the_parts_and_their_defaults_hold() -> None:
    target = settings.database({"POSTGRES_HOST": "db", "POSTGRES_PASSWORD": "secret"})
    assert (target.host, target.port, target.database) == ("db", 5432, "chatwoot_production")
    assert (target.user, target.password) == ("chatwoot_prod", "secret")


def test_primary_database_url_outranks_and_unknown_keys_are_dropped() -> None:
    env = {
        "DATABASE_URL": "postgres://a:b@one:1/x",
        "PRIMARY_DATABASE_URL": "postgres://c:d@two:2/y?pgbouncer=true&sslmode=require",
    }
    target = settings.database(env)
    assert (target.host, target.port, target.user, target.sslmode) == ("two", 2, "c", "require")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "set, but empty"),
        ("DATABASE_URL=postgres://a:geheim@h/d", "bad URI"),
        ("postgres://a:geh eim@h/d", "bad URI"),
        ("postgres://a:geheim@h:port/d", "bad URI"),
        ("postgres://a:geh@eim@h/d", "bad URI"),
        ("mysql2://a:geheim@h/d", "adapter other than postgresql"),
    ],
)
def test_a_url_that_rails_cannot_use_stops_the_boot_without_telling_it(url: str, says: str) -> None:
    with pytest.raises(BootError, match=says) as caught:
        settings.database({"DATABASE_URL": url})
    assert "geh" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("chatwoot/chatwoot:v4.10.2", (4, 10, 2)),
        ("registry-1.docker.io/chatwoot/chatwoot:v4.15.1@sha256:abc", (4, 15, 1)),
        ("localhost:5000/chatwoot:latest", (4, 11, 0)),
        ("", (4, 11, 0)),
    ],
)
def test_the_version_is_the_image_tag(image: str, version: tuple[int, int, int]) -> None:
    assert settings.version({"FLY_IMAGE_REF": image}) == version


def test_the_log_blots_secrets_out_in_every_form() -> None:
    log = Log(
        {"DATABASE_URL": "postgres://u:p%2Fss@h/d", "SMTP_PASSWORD": "hush!", "RAILS_ENV": "production"}
    )
    shown = log.scrub("postgres://u:p%2Fss@h/d and p/ss and p%2Fss and hush! and hush%21 in production")
    assert shown == "[hidden] and [hidden] and [hidden] and [hidden] and [hidden] in production"


def test_one_off_commands_are_those_that_are_modelled() -> None:
    env = {"FLY_MACHINE_ID": "m1", "RAILS_ENV": "production", "SANDBOX_PORT": "1"}
    assert task.run(["printenv", "RAILS_ENV"], env) == (0, "production\n", "")
    assert task.run(["env"], env)[1] == "FLY_MACHINE_ID=m1\nRAILS_ENV=production\n"
    assert task.run(["sh", "-c", "echo hello there"], env) == (0, "hello there\n", "")
    code, _, errors = task.run(["rm", "-rf", "/"], env)
    assert code == 127
    assert "not found" in errors


# Running


@pytest.fixture(scope="module")
def endpoints(sandbox: World) -> Endpoints:
    return load_or_create(sandbox.dir)


class Machine:
    """A web machine outside of any Fly: its answers, then its log."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        self._env = env
        self.log = ""
        self.exit: Exit | None = None

    def ask(self, *requests: str | tuple[str, Mapping[str, str]]) -> list[httpx.Response]:
        """The answers to GETs of paths, with headers if given; asked as Fly's checks ask unless a Host is named."""
        return asyncio.run(self._ask(requests))

    async def _ask(self, requests: tuple[str | tuple[str, Mapping[str, str]], ...]) -> list[httpx.Response]:
        ended = asyncio.Event()

        async def on_exit(machine: str, instance: str, exit: Exit) -> None:
            self.exit = exit
            ended.set()

        runtime = Runtime(self._folder, on_exit)
        await runtime.launch(LaunchSpec("app", "m1", "v1", "web", WEB, self._env, 2048))
        answers: list[httpx.Response] = []
        try:
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{runtime.port('m1')}",
                transport=httpx.AsyncHTTPTransport(retries=8),
                timeout=10.0,
            ) as client:
                for request in requests:
                    path, headers = request if isinstance(request, tuple) else (request, {})
                    answers.append(await client.get(path, headers={"Host": "172.19.0.2:3000", **headers}))
            if not requests:
                await asyncio.wait_for(ended.wait(), 10.0)
        finally:
            await runtime.close()
        self.log = runtime.log_path("m1").read_text()
        return answers


def environment(endpoints: Endpoints, **changes: str | None) -> dict[str, str]:
    env: dict[str, str | None] = {
        "DATABASE_URL": endpoints.database_url,
        "REDIS_URL": endpoints.redis_url,
        "SECRET_KEY_BASE": "k" * 64,
        "FRONTEND_URL": "https://chat.hotdash.example",
        "FLY_IMAGE_REF": "chatwoot/chatwoot:v4.11.0",
        "SANDBOX_BOOT_SECONDS": "0",
        **changes,
    }
    return {name: value for name, value in env.items() if value is not None}


def api(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    return found


def test_routes_of_a_healthy_chatwoot(endpoints: Endpoints, tmp_path: Path) -> None:
    machine = Machine(tmp_path, environment(endpoints))
    ours = {"Host": "chat.hotdash.example"}
    paths: list[str | tuple[str, Mapping[str, str]]] = [
        *("/health", "/api", "/up", "/rails/health", "/hc", "/app/login", "/super_admin/instance_status"),
        ("/hc/hotdash-help", ours),
        ("/hc/hotdash-help/en", ours),
        ("/hc/nobody", ours),
        "/hc/hotdash-help",
        ("/", {"Accept": "application/json"}),
        "/api/v1/profile",
    ]
    answers = machine.ask(*paths)
    assert [a.status_code for a in answers] == [
        200,
        200,
        404,
        404,
        404,
        200,
        302,
        302,
        200,
        404,
        401,
        406,
        401,
    ]
    assert answers[0].json() == {"status": "woot"}
    body = api(answers[1])
    assert body.keys() == {"version", "timestamp", "queue_services", "data_services"}
    assert (body["version"], body["queue_services"], body["data_services"]) == ("4.11.0", "ok", "ok")


def test_health_came_with_4_11(endpoints: Endpoints, tmp_path: Path) -> None:
    machine = Machine(tmp_path, environment(endpoints, FLY_IMAGE_REF="chatwoot/chatwoot:v4.10.1"))
    health, body = machine.ask("/health", "/api")
    assert health.status_code == 404
    assert api(body)["version"] == "4.10.1"


def test_a_wrong_password_fails_the_deep_probe_and_not_the_shallow_one(
    endpoints: Endpoints, tmp_path: Path
) -> None:
    wrong = endpoints.database_url.replace(endpoints.chatwoot.password, "wrong-password")
    machine = Machine(tmp_path, environment(endpoints, DATABASE_URL=wrong))
    shallow, deep, page = machine.ask("/health", "/api", "/app/login")
    assert [shallow.status_code, deep.status_code, page.status_code] == [200, 500, 500]
    assert 'password authentication failed for user "chatwoot"' in machine.log
    assert "wrong-password" not in machine.log
    # Postgres' own words come in several lines, each event of the machine in one.
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z ", line) for line in machine.log.splitlines())


def test_asked_by_its_canonical_host_api_proves_no_database(endpoints: Endpoints, tmp_path: Path) -> None:
    ours = {"Host": "chat.hotdash.example"}
    machine = Machine(tmp_path, environment(endpoints))
    cold, _, warm = machine.ask(("/api", ours), "/api", ("/api", ours))
    # A healthy install says "failing" until its connection has run a query.
    assert [api(cold)["data_services"], api(warm)["data_services"]] == ["failing", "ok"]
    wrong = endpoints.database_url.replace(endpoints.chatwoot.password, "wrong")
    (dead,) = Machine(tmp_path, environment(endpoints, DATABASE_URL=wrong)).ask(("/api", ours))
    assert dead.status_code == 200
    assert api(dead)["data_services"] == "failing"


def test_redis_unreachable_is_failing_and_refused_is_an_error(endpoints: Endpoints, tmp_path: Path) -> None:
    nobody = Machine(tmp_path, environment(endpoints, REDIS_URL="redis://127.0.0.1:1/0"))
    (answer,) = nobody.ask("/api")
    assert (answer.status_code, api(answer)["queue_services"]) == (200, "failing")
    url = endpoints.redis_url.replace(endpoints.redis_password, "wrong")
    (answer,) = Machine(tmp_path, environment(endpoints, REDIS_URL=url)).ask("/api")
    assert answer.status_code == 500
    nonsense = Machine(tmp_path, environment(endpoints, REDIS_URL="redis://:geheim@host:port/0"))
    (answer,) = nonsense.ask("/api")
    assert answer.status_code == 500
    assert "invalid uri" in nonsense.log
    assert "geheim" not in nonsense.log


def test_redis_password_is_taken_from_its_own_variable(endpoints: Endpoints, tmp_path: Path) -> None:
    url = f"redis://{endpoints.redis_host}:{endpoints.redis_port}/0"
    env = environment(endpoints, REDIS_URL=url, REDIS_PASSWORD=endpoints.redis_password)
    (answer,) = Machine(tmp_path, env).ask("/api")
    assert api(answer)["queue_services"] == "ok"


def test_another_database_lacks_chatwoots_tables(endpoints: Endpoints, tmp_path: Path) -> None:
    url = endpoints.hotdash.dsn(endpoints.postgres_host, endpoints.postgres_port)
    machine = Machine(tmp_path, environment(endpoints, DATABASE_URL=url))
    (answer,) = machine.ask("/api")
    assert answer.status_code == 500
    assert 'relation "portals" does not exist' in machine.log


def test_tls_that_the_server_does_not_speak(endpoints: Endpoints, tmp_path: Path) -> None:
    machine = Machine(
        tmp_path, environment(endpoints, DATABASE_URL=endpoints.database_url + "?sslmode=require")
    )
    (answer,) = machine.ask("/api")
    assert answer.status_code == 500
    assert "server does not support SSL, but SSL was required" in machine.log


def test_force_ssl_redirects_a_plain_probe(endpoints: Endpoints, tmp_path: Path) -> None:
    machine = Machine(tmp_path, environment(endpoints, FORCE_SSL="true"))
    plain, forwarded = machine.ask("/api", ("/api", {"X-Forwarded-Proto": "https"}))
    assert [plain.status_code, forwarded.status_code] == [301, 200]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SECRET_KEY_BASE": None}, "Missing `secret_key_base`"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is set, but empty"),
        ({"ACTIVE_STORAGE_SERVICE": "s4"}, "ACTIVE_STORAGE_SERVICE names no service"),
    ],
)
def test_boot_errors_exit_with_1(
    endpoints: Endpoints, tmp_path: Path, changes: dict[str, str | None], says: str
) -> None:
    machine = Machine(tmp_path, environment(endpoints, **changes))
    machine.ask()
    assert machine.exit == Exit(exit_code=1, signal=None, oom_killed=False, requested=False)
    assert says in machine.log


def test_connections_that_were_lost_are_made_anew(endpoints: Endpoints, tmp_path: Path) -> None:
    async def run() -> list[int]:
        async def on_exit(machine: str, instance: str, exit: Exit) -> None:
            raise AssertionError("it must survive")

        runtime = Runtime(tmp_path, on_exit)
        await runtime.launch(LaunchSpec("app", "back", "v1", "web", WEB, environment(endpoints), 2048))
        url = f"http://127.0.0.1:{runtime.port('back')}/api"
        statuses = []
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=8)) as client:
            statuses.append((await client.get(url)).status_code)
            superuser = endpoints.superuser.dsn(endpoints.postgres_host, endpoints.postgres_port)
            with psycopg.connect(superuser, autocommit=True) as connection:
                killed = connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'puma'"
                ).fetchall()
                assert killed == [(True,)]
            with redis.Redis.from_url(endpoints.redis_url) as queue:
                assert queue.client_kill_filter(_type="normal", skipme=True) >= 1
            answer = await client.get(url)
            statuses.append(answer.status_code)
            assert api(answer)["queue_services"] == "ok"
        await runtime.close()
        return statuses

    assert asyncio.run(run()) == [200, 200]


def test_a_redis_that_stops_answering_is_an_error_where_there_is_a_connection(
    endpoints: Endpoints, tmp_path: Path, sandbox: World
) -> None:
    (server,) = (p for p in sandbox.processes() if p.name() == "redis-server")

    async def run() -> list[httpx.Response]:
        async def on_exit(machine: str, instance: str, exit: Exit) -> None:
            raise AssertionError("it must survive")

        runtime = Runtime(tmp_path, on_exit)
        await runtime.launch(LaunchSpec("app", "hung", "v1", "web", WEB, environment(endpoints), 2048))
        answers = []
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{runtime.port('hung')}", transport=httpx.AsyncHTTPTransport(retries=8)
        ) as client:
            answers.append(await client.get("/api"))
            server.suspend()
            try:
                answers.append(await client.get("/api"))
            finally:
                server.resume()
            answers.append(await client.get("/api"))
        await runtime.close()
        return answers

    assert [a.status_code for a in asyncio.run(run())] == [200, 500, 200]


def test_the_worker_holds_its_connections(sandbox: World, endpoints: Endpoints) -> None:
    sandbox.reset()
    (worker,) = sandbox.machines("worker")
    with psycopg.connect(
        endpoints.superuser.dsn(endpoints.postgres_host, endpoints.postgres_port)
    ) as connection:

        def held() -> bool:
            rows = connection.execute("SELECT application_name FROM pg_stat_activity").fetchall()
            connection.rollback()
            return (f"sidekiq {worker['id']}",) in rows

        sandbox.api.until(held, "the worker to connect", 10.0)
    with redis.Redis.from_url(endpoints.redis_url, decode_responses=True) as queue:
        assert queue.sismember("processes", worker["id"])
