"""A connection to a server of this process that every cycle opens and that stays open at one end."""

import socket

EXPECTED = {"kind": "file-descriptor", "count": 1.0}
CYCLES = 400


def setup():
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(1)
    return {"server": server, "kept": []}


def cycle(state):
    state["kept"].append(socket.create_connection(state["server"].getsockname()))  # planted
    state["server"].accept()[0].close()


def teardown(state):
    for connection in state["kept"]:
        connection.close()
    state["server"].close()
