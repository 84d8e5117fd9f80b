"""As many apps as `fleet:apps` says, each declared as the one of the project's own program is."""

import dataclasses

import pulumi

from components import stack
from components.chatwoot_on_fly import ChatwootOnFly

settings, declared, connection = stack.read()
for number in range(int(pulumi.Config("fleet").require("apps"))):
    name = f"{settings.app.name}-{number}"
    app = dataclasses.replace(settings.app, name=name)
    ChatwootOnFly(name, dataclasses.replace(settings, app=app), declared, connection)
