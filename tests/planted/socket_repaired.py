"""A connection to a server of this process that every cycle opens and closes at both ends."""

import socket


def setup():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(1)
    return server


def cycle(server):
    with socket.create_connection(server.getsockname()):
        server.accept()[0].close()


def teardown(server):
    server.close()
