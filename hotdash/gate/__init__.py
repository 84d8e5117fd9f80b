"""The gate: one preview by the real engine, with the policy pack, turned into a verdict that CI can act on.

engine       the engine, found and run once; nothing is written but what the caller asks for
events       what the engine says while it previews, typed. No I/O
drift_file   the drift that the program tells, passed from its process to the gate's
judging      events and drift in, a report out. No I/O
findings     what rules said, taken apart (`labelled`). No I/O
problems     why it could not be run to its end, each with the mend. No I/O
places       on which line of the stack file that is declared which a finding is about. No I/O
report       the report and its verdict
formats/     the report as text, JSON, SARIF, JUnit, Markdown and GitHub's workflow commands. No I/O

What is drift is decided in `hotdash.drift`, what is allowed in the policy pack; nothing here adds to either.
"""

from typing import Final

DRIFT_VARIABLE: Final = "HOTDASH_DRIFT_FILE"
"""Names the file to which the program appends its drift, in its environment. Unset: nobody asks."""
