"""A buffer that fills to 14 MB in 1,400 calls and is emptied, again and again."""

EXPECT = {"verdict": "clean"}

BATCH = []


def iteration():
    BATCH.append(bytearray(10_000))
    if len(BATCH) == 1_400:
        BATCH.clear()
