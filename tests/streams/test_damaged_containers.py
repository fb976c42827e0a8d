"""Ten thousand damaged streams: none read in silence, none crashes, hangs or takes memory."""

import time
import tracemalloc
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from damage import DAMAGE, forged_streams, fuzz_streams

from codec_lib.entropy import Packet, StreamHeader, read_stream, salvage, write_stream
from codec_lib.errors import BitstreamError


def example(packets, size=250):
    rng = np.random.default_rng(packets)
    header = StreamHeader("intra", "lab", b"\1\2\3\4", 448, 256, packets, Fraction(30000, 1001), 3)
    return write_stream(header, [Packet(rng.bytes(int(rng.integers(0, 2 * size))), int(rng.integers(65536)))
                                 for _ in range(packets)])


def outcome(stream):
    """What reading it comes to: the error's class name, or "silent"."""
    try:
        read_stream(stream)
    except BitstreamError as error:
        message = str(error)
        assert message and "\n" not in message and len(message) < 200
        return type(error).__name__
    return "silent"


def test_ten_thousand_damaged_streams():
    seen, kinds, slowest = Counter(), Counter(), 0.0
    for stream in (example(1, 4000), example(8)):
        for kind, damaged in fuzz_streams(stream, 5000, seed=len(stream)):
            start = time.perf_counter()
            result = outcome(damaged)  # anything but a BitstreamError fails the test here
            slowest = max(slowest, time.perf_counter() - start)
            seen[result] += 1
            kinds[kind] += 1
            assert result != "silent", f"{kind}: read without an error"
    assert seen.total() == 10_000 and set(kinds) == set(DAMAGE)
    assert set(seen) == {"CorruptStream", "TruncatedStream", "ForeignStream", "UnsupportedVersion"}
    assert slowest < 2


def test_memory_is_bounded_by_the_data():
    for stream in (example(1, 4000), example(8)):
        tracemalloc.start()
        try:
            for kind, damaged in fuzz_streams(stream, 600, seed=1):
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                outcome(damaged)
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak < 2 * len(damaged) + 100_000, kind
        finally:
            tracemalloc.stop()


def test_the_intact_stream_reads():
    """The harness can tell: what it calls damaged is refused, what is intact is not."""
    assert outcome(example(8)) == "silent"


@pytest.mark.parametrize("seed", range(3))
def test_salvaged_packets_are_the_first_ones(seed):
    stream = example(8)
    header, packets = read_stream(stream)
    lengths = Counter()
    for kind, damaged in fuzz_streams(stream, 400, seed=seed):
        try:
            found, intact = salvage(damaged)
        except BitstreamError:
            continue
        if found == header and not kind.startswith("append"):
            assert intact == packets[: len(intact)]
            lengths[len(intact)] += 1
    assert set(lengths) == set(range(8)) or set(lengths) == set(range(9))


def test_forged_streams_pass_the_container():
    """Right checksums over lies: the container reads them, so codecs must not trust what it says (see their tests)."""
    forged = dict(forged_streams(example(2)))
    assert len(forged) >= 12
    assert all(outcome(data) == "silent" for data in forged.values())
