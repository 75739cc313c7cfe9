"""How long decoding takes: JPEG to array compared with other bindings, and small raw frames with large ones.

CPU time, medians. One run calls everything in turn, so that a slow minute affects all alike.
`python benchmarks/decode_speed.py [--json -]`; exit code 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg

from decoder.conversion import to_array
from decoder.decoder import Decoder
from decoder.encoder import VideoFormat, encode_frame
from decoder.header import FrameHeader
from decoder.message import message_of, tonumpy
from decoder.sample_frames import draw_picture

WIDTH, HEIGHT = 1360, 1024
SMALL_WIDTH, SMALL_HEIGHT = 64, 48
JPEG_ROUNDS = 200
RAW_ROUNDS = 2000
RAW_CALLS_PER_ROUND = 10
LARGEST_JPEG_RATIO = 1.05
LARGEST_RAW_RATIO = 1.5
"""Large over small: the large frame has 450 times the pixels; a single copy would give a ratio of 10 or more."""

Call = Callable[[], object]


def median_cpu_us(calls: dict[str, Call], rounds: int, calls_per_round: int = 1) -> dict[str, float]:
    """Return the median CPU time of each call in microseconds; the calls are interleaved."""
    times_ns: dict[str, list[int]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start_ns = time.process_time_ns()
            for _ in range(calls_per_round):
                call()
            times_ns[name].append(time.process_time_ns() - start_ns)
    return {name: statistics.median(times) / 1000 / calls_per_round for name, times in times_ns.items()}


def noisy_block(video_format: VideoFormat, width: int, height: int) -> tuple[FrameHeader, bytes]:
    """Return a frame with camera-like noise, because a smooth picture decompresses faster than a real one."""
    picture = draw_picture(0, width, height) // 2
    picture += np.random.default_rng(1).integers(0, 16, picture.shape, dtype=np.uint8)
    return encode_frame(picture, video_format)


def measure_jpeg(video_format: VideoFormat) -> dict[str, object]:
    """Return CPU times in microseconds for one JPEG format, and the ratios of decoder/ to simplejpeg."""
    header, jpeg = noisy_block(video_format, WIDTH, HEIGHT)
    block = header.pack() + jpeg
    message = message_of(block)
    colorspace = "RGB" if video_format == VideoFormat.JPEG_RGB24 else "GRAY"
    ready = np.empty(WIDTH * HEIGHT * header.bytes_per_pixel, np.uint8)
    decoder = Decoder()
    calls: dict[str, Call] = {
        "simplejpeg into a ready buffer": lambda: simplejpeg.decode_jpeg(jpeg, colorspace, buffer=ready),
        "Decoder and to_array": lambda: to_array(decoder.decode(block)),
        "tonumpy": lambda: tonumpy(message),
    }
    others, missing = other_bindings(jpeg, colorspace)
    cpu_us = median_cpu_us(calls | others, JPEG_ROUNDS)
    base_us = cpu_us["simplejpeg into a ready buffer"]
    return {
        "format": str(video_format),
        "width": WIDTH,
        "height": HEIGHT,
        "jpeg_bytes": len(jpeg),
        "cpu_us": cpu_us,
        "missing": missing,
        "ratio": cpu_us["Decoder and to_array"] / base_us,
        "ratio_tonumpy": cpu_us["tonumpy"] / base_us,
        "target": LARGEST_JPEG_RATIO,
        "ok": cpu_us["Decoder and to_array"] <= LARGEST_JPEG_RATIO * base_us,
    }


def other_bindings(jpeg: bytes, colorspace: str) -> tuple[dict[str, Call], list[str]]:
    """Return calls that decode ``jpeg`` to an array with Pillow and OpenCV, and the names of missing packages."""
    calls: dict[str, Call] = {}
    missing = []
    try:
        image = importlib.import_module("PIL.Image")
        calls["Pillow"] = lambda: np.asarray(image.open(io.BytesIO(jpeg)))
    except ImportError:
        missing.append("Pillow")
    try:
        cv2 = importlib.import_module("cv2")
        flag = cv2.IMREAD_COLOR if colorspace == "RGB" else cv2.IMREAD_GRAYSCALE
        encoded = np.frombuffer(jpeg, np.uint8)
        calls["OpenCV (B, G, R)"] = lambda: cv2.imdecode(encoded, flag)
    except ImportError:
        missing.append("OpenCV")
    return calls, missing


def measure_raw(video_format: VideoFormat) -> dict[str, object]:
    """Return CPU times in microseconds for one raw format, for a small and a large frame."""
    decoder = Decoder()

    def call_for(width: int, height: int) -> Call:
        header, image = noisy_block(video_format, width, height)
        block = header.pack() + image
        return lambda: to_array(decoder.decode(block))

    calls = {"small": call_for(SMALL_WIDTH, SMALL_HEIGHT), "large": call_for(WIDTH, HEIGHT)}
    cpu_us = median_cpu_us(calls, RAW_ROUNDS, RAW_CALLS_PER_ROUND)
    ratio = cpu_us["large"] / cpu_us["small"]
    return {
        "format": str(video_format),
        "cpu_us": cpu_us,
        "ratio": ratio,
        "target": LARGEST_RAW_RATIO,
        "ok": ratio <= LARGEST_RAW_RATIO,
    }


def main() -> int:
    """Measure, print a table (on stderr when the JSON takes stdout) and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the figures as JSON; - is stdout")
    options = parser.parse_args()
    jpeg = [measure_jpeg(video_format) for video_format in (VideoFormat.JPEG_RGB24, VideoFormat.JPEG_GRAY8)]
    raw = [measure_raw(video_format) for video_format in (VideoFormat.GRAY8, VideoFormat.GRAY16, VideoFormat.RGB24)]
    ok = all(result["ok"] for result in jpeg + raw)
    out = sys.stderr if options.json == "-" else sys.stdout
    for result in jpeg + raw:
        print(f"{result['format']}: {result['ratio']:.3f}, target at most {result['target']}", file=out)
        for name, cpu_us in result["cpu_us"].items():  # type: ignore[attr-defined]
            print(f"  {cpu_us:10.1f} µs CPU  {name}", file=out)
        for name in result.get("missing", []):  # type: ignore[attr-defined]
            print(f"     skipped, not installed: {name}", file=out)
    if options.json:
        text = json.dumps({"benchmark": "decode_speed", "ok": ok, "jpeg": jpeg, "raw": raw}, indent=2)
        if options.json == "-":
            print(text)
        else:
            Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
