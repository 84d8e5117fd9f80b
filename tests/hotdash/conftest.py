"""How hypothesis runs in these tests (as often as two cores bear, never failed by a slow one), and sandboxes."""

from hypothesis import settings

from tests.sandbox.conftest import box as box
from tests.sandbox.conftest import own_box as own_box

settings.register_profile("hotdash", deadline=None, max_examples=80)
settings.load_profile("hotdash")
