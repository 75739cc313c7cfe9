import json

seen = []


def cycle():
    message = json.loads('{"frame": 7, "pixels": [1, 2, 3]}')
    seen.append(message["pixels"])  # the leak: nobody empties this list


def repaired():
    json.loads('{"frame": 7, "pixels": [1, 2, 3]}')
