"""Stacks over a sandbox, as the program's tests have them."""

from tests.program.conftest import _shared as _shared
from tests.program.conftest import applied as applied
from tests.program.conftest import sandbox as sandbox
from tests.program.conftest import stack as stack
