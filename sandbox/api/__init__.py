"""The Machines API over HTTP: routes, what they take and what they answer.

A handler reads the call, asks the lifecycle or changes the world, saves, and answers. What is common to all calls
(tokens, faults, limits, the log) is in pipeline.py."""
