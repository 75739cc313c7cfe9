"""A header of 16 bytes, kept as a view, and with it the frame of 2,000 that it is of."""

EXPECTED = {"kind": "python-object", "state": "held", "holder": "view_keeps_buffer_leak.headers, a list"}
headers = []


def cycle(state):
    frame = bytes(2000)  # planted
    headers.append(memoryview(frame)[:16])
