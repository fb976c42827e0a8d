"""Options as users give them."""

from dataclasses import dataclass

import pytest
from tiny_conditional import moving_video

from codec_lib.codecs.conditional.structure import Structure
from codec_lib.codecs.diffvc.generator import Sampling
from codec_lib.codecs.options import SETTABLE, parse, refuse, take
from codec_lib.codecs.protocol import load_codec
from codec_lib.entropy.container import read_header
from codec_lib.errors import UsageError


@dataclass(frozen=True)
class Settings:
    size: int = 3
    share: float = 0.5
    moved: bool = False
    name: str = "a"
    offsets: tuple[int, ...] = (0,)


def test_what_a_class_has_is_taken_and_the_rest_is_left():
    options = {"size": 4, "share": 1, "offsets": [1, 2], "other": 5}
    assert take(Settings, options) == Settings(4, 1.0, offsets=(1, 2)) and options == {"other": 5}
    with pytest.raises(UsageError, match="it has no option 'other': it has size, share"):
        refuse(options, "it", Settings)
    refuse({}, "it", Settings)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"size": "big"}, "size takes a whole number, not 'big'"), ({"size": 1.5}, "a whole number"), ({"size": True}, "a whole number"),
    ({"share": "half"}, "a number"), ({"moved": 1}, "true or false"), ({"name": 3}, "a word"), ({"offsets": 3}, "whole numbers"),
    ({"offsets": []}, "whole numbers"), ({"offsets": ["a"]}, "whole numbers"),
])
def test_values_of_another_type_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        take(Settings, wrong)


def test_commands_can_set_every_choice_of_encoders_and_viewers():
    assert set(SETTABLE) == {*Structure.__dataclass_fields__, *Sampling.__dataclass_fields__, "diffusion", "prior"}


@pytest.mark.parametrize(("codec", "options", "message"), [
    ("conditional", {"depth": 3}, "conditional has no option 'depth': it has intra_period"),
    ("conditional", {"intra_period": -1}, "must be 0 or more"),
    ("conditional", {"intra_period": "often"}, "takes a whole number"),
    ("intra", {"intra_period": 3}, "intra has no option 'intra_period'"),
    ("x265", {"depth": 3}, "x265 has no option 'depth'"),
])
def test_codecs_refuse_what_they_do_not_have(codec, options, message):
    with pytest.raises(UsageError, match=message):
        load_codec(codec, **options)


def test_settings_are_read_as_numbers_words_and_lists():
    assert [parse(t)[1] for t in ("depth=3", "cut=0.5", "moved=true", "sampler=ddim", "offsets=[0,2]")] == [3, 0.5, True, "ddim", [0, 2]]


def test_a_name_can_carry_settings():
    codec = load_codec("conditional:intra_period=2+cut=3@lab")
    assert codec.name == "conditional:intra_period=2+cut=3" and codec.structure == Structure(intra_period=2, cut=3.0)
    stream = codec.encode(moving_video(3, 64, 64), 5)
    assert read_header(stream).codec == "conditional"
    plain = load_codec("conditional")
    assert plain.name == "conditional" and len(plain.decode(stream)) == len(codec.decode(stream)) == 3
    with pytest.raises(UsageError, match="'device' cannot be set here"):
        load_codec("conditional:device=cuda")


def test_settings_reach_the_encoder(cli, tiny_file, tmp_path):
    sizes = []
    for period in (0, 1):
        ran = cli("encode", tiny_file, tmp_path / f"{period}.gvc", "--codec", "conditional", "--quality", 20, "--frames", 2,
                  "--set", f"intra_period={period}", "--json")
        assert ran.status == 0, ran.err
        sizes.append((tmp_path / f"{period}.gvc").stat().st_size)
    assert sizes[0] != sizes[1]


@pytest.mark.parametrize(("text", "message"), [("intra_period", "is no setting"), ("device=cuda", "cannot be set here"),
                                               ("depth=3", "has no option 'depth'"), ("cut=soon", "takes a number")])
def test_bad_settings_give_one_line(cli, tiny_file, tmp_path, text, message):
    ran = cli("encode", tiny_file, tmp_path / "a.gvc", "--codec", "conditional", "--set", text)
    assert ran.status == 2 and message in ran.err and not (tmp_path / "a.gvc").exists()
