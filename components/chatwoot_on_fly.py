"""The component: one Chatwoot on Fly, from its settings. It wires the resources and decides nothing else."""

from __future__ import annotations

import pulumi
from pulumi.runtime.config import is_config_secret

from components.announce import announcements, migration_announcements
from components.app import App
from components.connection import Connection
from components.process_group import ProcessGroup
from components.readiness import Readiness
from components.secret_properties import declared_text
from components.secrets import Secrets
from hotdash.stack.checking import NAMESPACE
from hotdash.stack.declared import declared_properties
from hotdash.stack.settings import Settings
from hotdash.stack.values import Declaration


class ChatwootOnFly(pulumi.ComponentResource):
    """App, secrets, migration, process groups and readiness, in the order in which they may change.

    Its inputs are what the stack declares, in clear: policies look at them before anything below it is touched. They
    are its outputs too, because policies about the whole stack are shown those alone.

    Args:
        declared: fingerprints of the values that the vault holds now, and which databases they lead to.
        connection: asked only for what the state does not know yet, so that a preview can show what will be adopted.
    """

    url: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: Settings,
        declared: Declaration,
        connection: Connection,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = declared_properties(
            settings,
            declared,
            connection.vault,
            stack=pulumi.get_stack(),
            key_encrypted=is_config_secret(f"{NAMESPACE}:fingerprintKey"),
        )
        super().__init__("hotdash:chatwoot:ChatwootOnFly", name, properties, opts)
        hooks = announcements(connection)
        deletes = settings.app.delete_on_destroy
        app = App(
            name,
            name=settings.app.name,
            organization=settings.app.organization,
            create=settings.app.create,
            delete_on_destroy=deletes,
            opts=pulumi.ResourceOptions(parent=self, hooks=hooks.app),
        )
        staged = Secrets(
            name,
            app=settings.app.name,
            secrets={
                n: declared_text(source, declared.fingerprints[n]) for n, source in settings.secrets.items()
            },
            databases=declared.databases,
            remove_undeclared=settings.remove_undeclared,
            delete_on_destroy=deletes,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[app], hooks=hooks.secrets),
        )
        # A new image runs on a schema that fits it: a migration that fails leaves the old one running.
        before: list[pulumi.Resource] = [staged]
        if settings.migration:
            from components.migration import Migration  # here: a preview without one need not wait for it
            from hotdash.migration.deciding import groups_by_role

            before.append(
                Migration(
                    name,
                    settings.migration,
                    groups_by_role(settings.groups),
                    app=settings.app.name,
                    database=declared.databases.get(settings.migration.database),
                    staged=staged,
                    opts=pulumi.ResourceOptions(
                        parent=self, depends_on=[staged], hooks=migration_announcements(connection)
                    ),
                )
            )
        groups: list[ProcessGroup] = []
        for group in settings.groups:
            groups.append(
                ProcessGroup(
                    f"{name}-{group.declared.name}",
                    group,
                    app=settings.app.name,
                    secrets=declared.fingerprints,
                    staged=staged,
                    remove_undeclared=settings.remove_undeclared,
                    delete_on_destroy=deletes,
                    # One group after the other: web moves, and only when it is well the worker does.
                    opts=pulumi.ResourceOptions(
                        parent=self, depends_on=[*before, *groups], hooks=hooks.group
                    ),
                )
            )
        Readiness(
            name,
            app=settings.app.name,
            url=settings.app.url,
            path=settings.readiness.path,
            status=settings.readiness.status,
            timeout=settings.readiness.timeout,
            after=[group.rollout for group in groups],
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(groups), hooks=hooks.readiness),
        )
        self.url = pulumi.Output.from_input(settings.app.url)
        self.register_outputs({**properties, "url": self.url})
