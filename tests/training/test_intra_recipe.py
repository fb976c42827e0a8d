"""The I-frame codec is trained on: for LPIPS, and from what ships."""

import pytest
import torch
from tiny_intra import TINY, tiny_model
from tiny_pictures import Distance, two_pictures

from codec_lib.codecs.intra.export import load_parts, load_trainable, save_parts
from codec_lib.entropy.fit import initial_tables
from codec_lib.entropy.integer import FRAC, set_quantise
from codec_lib.layers.blocks import relative
from codec_lib.training import intra
from codec_lib.training.loop import train


@pytest.fixture
def pictures(tmp_path):
    return two_pictures(tmp_path)


def test_pictures_are_coded_for_lpips(pictures, tmp_path, monkeypatch):
    """From the first step on with rounded symbols, and with LPIPS as most of what lambda multiplies."""
    monkeypatch.setattr(intra, "load_lpips", lambda net: Distance())
    recipe = intra.PerceptualRecipe(pictures, TINY, batch=2)
    recipe.at(0.0)
    assert recipe.model.quantise
    x, u = pictures.batch(2), torch.tensor([0.0, 1.0])
    found = recipe.figures(x, u)
    assert torch.allclose(recipe.distortion(found), found["mse"] / 4 + 600 * found["lpips"])
    assert recipe.validate() == recipe.validate() and {"bpp_0", "psnr_21", "lpips_63"} <= set(recipe.validate())
    found["lpips"].sum().backward()
    assert recipe.model.g_s.linear.weight.grad.abs().sum() > 0
    recipe.model.zero_grad()
    result = train(recipe, tmp_path / "run", minutes=5, steps=2)
    assert result["steps"] == 2


def test_what_ships_of_the_entropy_model_can_be_trained_on(tmp_path):
    """As real weights it gives the features and steps that its integers give."""
    model = tiny_model()
    save_parts(tmp_path / "intra-lab.safetensors", model, initial_tables())
    integers = load_parts(tmp_path / "intra-lab.safetensors", "integer")[1]
    found = load_trainable(tmp_path / "intra-lab.safetensors")
    set_quantise(found.entropy, True)
    z = torch.randint(-5, 6, (1, found.config.z_channels, 2, 2)).float()
    anchors = range(0, found.config.n_qualities, (found.config.n_qualities - 1) // (found.config.anchors - 1))
    for quality in anchors:
        with torch.no_grad():
            features = found.entropy.features(z, relative(quality, found.config), True)
        assert torch.equal((features * 2**FRAC).round(), integers.features(z, quality))
