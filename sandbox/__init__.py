"""A Fly that runs on this machine: its API, its machines (real processes), its checks and its edge, on 127.0.0.1.

For the demo, the tests and trying things out. Nothing outside imports it but the `hotdash sandbox` commands."""
