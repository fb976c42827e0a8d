"""Damaged streams through whole decoders: every one ends in an error, soon, and in bounded memory."""

import resource
import time
from collections import Counter

import pytest
import torch
from damage import forged_streams, fuzz_streams
from tiny_conditional import tiny_codec as tiny_conditional
from tiny_diffvc import tiny_diffvc
from tiny_intra import noise_video
from tiny_intra import tiny_codec as tiny_intra

from codec_lib.entropy.container import Packet, read_stream, write_stream
from codec_lib.errors import BitstreamError

STREAMS = 10_000
CODECS = {"intra": tiny_intra, "conditional": tiny_conditional, "diffvc": lambda: tiny_diffvc(diffusion=False)}


@pytest.mark.parametrize("name", CODECS)
def test_ten_thousand_damaged_streams(name):
    codec = CODECS[name]()
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


def outcomes_of_forgeries(name):
    """Kind of forgery -> shape of the frames that come out, or name of the error."""
    codec, outcomes = CODECS[name](), {}
    for kind, forged in forged_streams(codec.encode(noise_video(3, 64, 64), 6)):
        try:
            outcomes[kind] = codec.decode(forged).frames.shape
        except BitstreamError as error:
            outcomes[kind] = type(error).__name__
    return outcomes


def test_forged_headers_with_right_checksums():
    outcomes = outcomes_of_forgeries("intra")
    errors = [k for k, v in outcomes.items() if isinstance(v, str)]
    # Every frame stands by itself, so frames in another order, or cropped, are streams that could have been written.
    written = {"forged packet order", "forged {'height': 32}", "forged {'width': 1, 'height': 1}"}
    assert set(outcomes) - set(errors) <= written
    assert outcomes["forged digests"] == "SymbolMismatch"


@pytest.mark.parametrize("name", ["conditional", "diffvc"])
def test_forged_headers_of_frames_that_stand_on_others(name):
    outcomes = outcomes_of_forgeries(name)
    shown = {k for k, v in outcomes.items() if not isinstance(v, str)}
    # Cropped could have been written, and the header's quality is the one asked for: frames carry their own.
    assert shown <= {"forged {'height': 32}", "forged {'width': 1, 'height': 1}", "forged {'quality': 7}"}
    assert outcomes["forged packet order"] in ("CorruptStream", "SymbolMismatch") and outcomes["forged digests"] == "SymbolMismatch"


@pytest.mark.parametrize("name", ["conditional", "diffvc"])
def test_damage_is_confined_to_what_follows(name):
    """A packet whose payload is exchanged for another's, checksums right: frames before it come out as they were."""
    codec = CODECS[name]()
    header, packets = read_stream(codec.encode(noise_video(4, 64, 64), 6))
    whole = codec.decode(write_stream(header, packets)).frames
    for bad, other in ((1, 2), (2, 3), (3, 1)):
        mixed = [*packets]
        mixed[bad] = Packet(packets[other].payload, packets[bad].digest)
        with pytest.raises(BitstreamError) as caught:
            codec.decode(write_stream(header, mixed))
        assert caught.value.packet == bad
        assert torch.equal(codec.decode(write_stream(header, mixed), salvaged=True).frames, whole[:bad])
