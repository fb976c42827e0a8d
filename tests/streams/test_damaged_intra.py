"""Damaged streams through the whole intra decoder: every one ends in an error, soon, and in bounded memory."""

import resource
import time
from collections import Counter

import pytest
from damage import forged_streams, fuzz_streams
from tiny_intra import noise_video, tiny_codec

from codec_lib.errors import BitstreamError

STREAMS = 10_000


def test_ten_thousand_damaged_streams():
    codec = tiny_codec()
    stream = codec.encode(noise_video(3, 64, 64), 6)
    codec.decode(stream)  # the intact one decodes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen, slowest = Counter(), 0.0
    for kind, damaged in fuzz_streams(stream, STREAMS, seed=1):
        start = time.perf_counter()
        try:
            codec.decode(damaged)
        except BitstreamError as error:  # anything else fails the test here
            seen[type(error).__name__] += 1
            assert "\n" not in str(error)
        else:
            pytest.fail(f"{kind}: decoded without an error")
        slowest = max(slowest, time.perf_counter() - start)
    assert seen.total() == STREAMS and len(seen) >= 4
    assert slowest < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kilobytes


def test_forged_headers_with_right_checksums():
    codec = tiny_codec()
    stream = codec.encode(noise_video(3, 64, 64), 6)
    outcomes = {}
    for kind, forged in forged_streams(stream):
        try:
            outcomes[kind] = codec.decode(forged).frames.shape
        except BitstreamError as error:
            outcomes[kind] = type(error).__name__
    errors = [k for k, v in outcomes.items() if isinstance(v, str)]
    # Every frame stands by itself, so frames in another order, or cropped, are streams that could have been written.
    written = {"forged packet order", "forged {'height': 32}", "forged {'width': 1, 'height': 1}"}
    assert set(outcomes) - set(errors) <= written
    assert outcomes["forged digests"] == "SymbolMismatch"
