"""The program: read the stack's settings and the vault, declare the app."""

import sys

import pulumi

from components import stack
from components.chatwoot_on_fly import ChatwootOnFly
from hotdash.errors import HotdashError

try:
    settings, declared, connection = stack.read()
except HotdashError as error:
    pulumi.log.error(str(error))
    sys.exit(stack.TOLD)

chatwoot = ChatwootOnFly(settings.app.name, settings, declared, connection)
pulumi.export("url", chatwoot.url)
