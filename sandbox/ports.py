"""Free TCP ports on 127.0.0.1, and whether a port is free."""

import random
import socket

# Below what systems hand out to outgoing connections (32768 or 49152 upwards): a port that is kept for the next
# run must not meanwhile become somebody's source port.
_LOW, _HIGH = 20_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            # On Linux two sockets may be bound with SO_REUSEADDR; only one may listen.
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that was free just now and that no outgoing connection will be given."""
    for _ in range(200):
        port = random.randrange(_LOW, _HIGH)
        if is_free(port):
            return port
    raise OSError("no free TCP port on 127.0.0.1 between 20000 and 32000")
