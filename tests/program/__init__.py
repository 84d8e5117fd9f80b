"""The Pulumi program through the real engine, against a sandbox whose machines, Postgres and Redis are real."""
