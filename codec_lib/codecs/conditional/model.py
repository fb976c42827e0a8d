"""The networks of the `conditional` codec together, as trained: one P frame at a time.

    frame, frame before --flow--> motion
    frame before, feature, motion --ContextMining--> x_bar, C0, C1, C2
    x, contexts --g_a--> y --(gain, round around the mean)--> y_hat, contexts --g_s--> x_hat, feature
                         |                   ^
                        h_a                  | mean, scale class
                         z --round--> z_hat, what is known of earlier frames

At lab size motion is a field of integers (`lattice`), searched by the encoder (`motion_search`), which no network estimates or
codes, and probabilities depend on integers only (`prior`). At paper size motion is a learned flow (`learned_motion`) and
probabilities depend on floats (`fused_prior`). `forward` estimates rates; `codec_lib.codecs.conditional.codec` writes real bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codec_lib.codecs.conditional import fused_prior, prior
from codec_lib.codecs.conditional.config import ConditionalConfig
from codec_lib.codecs.conditional.context import ContextMining
from codec_lib.codecs.conditional.contextual import ContextualDecoder, ContextualEncoder
from codec_lib.codecs.conditional.lattice import flow_from_nodes
from codec_lib.codecs.conditional.learned_motion import LearnedMotion
from codec_lib.codecs.conditional.reference import CodedMotion, PFrame
from codec_lib.codecs.conditional.reference import Reference as Reference
from codec_lib.entropy.integer import LIMIT, round_through
from codec_lib.layers.precision import in_float32


class LatticeMotion(nn.Module):
    """Motion that the encoder has searched: nothing to learn, and its bits are not estimated."""

    def __init__(self, c: ConditionalConfig):
        super().__init__()

    def forward(self, x: Tensor, reference: Reference, nodes: Tensor, u: Tensor, rounded: bool) -> CodedMotion:
        """nodes: integers (N, 2, H/8 + 1, W/8 + 1)."""
        return CodedMotion(flow_from_nodes(nodes), None, torch.zeros(len(x), device=x.device))


MOTIONS = {"lattice": LatticeMotion, "learned": LearnedMotion}
HYPER_ENCODERS = {
    "dual": prior.hyper_encoder,
    "quadtree": lambda c: fused_prior.hyper_encoder(c.y_channels, c.z_channels, deep=False),
}
ENTROPY_MODELS = {"dual": prior.TemporalEntropyModel, "quadtree": fused_prior.ContentEntropyModel}


class ConditionalModel(nn.Module):
    """Context mining, contextual encoder and decoder, hyper-encoder, entropy model and motion of P frames."""

    def __init__(self, config: ConditionalConfig | None = None, space: nn.Module | None = None):
        super().__init__()
        c = self.config = config or ConditionalConfig()
        self.context = ContextMining(c, space)
        self.g_a, self.g_s = ContextualEncoder(c), ContextualDecoder(c)
        self.h_a = HYPER_ENCODERS[c.spatial_prior](c)
        self.entropy = ENTROPY_MODELS[c.spatial_prior](c)
        self.flow = MOTIONS[c.motion](c)
        self.quantise = False
        """Whether rates are those of rounded symbols, as in the last stages of training, and not of noisy ones."""

    def forward(self, x: Tensor, reference: Reference, nodes: Tensor | None, u: Tensor) -> PFrame:
        """x: frames (N, 3, H, W) in [0, 1], sides divisible by 64; nodes: their motion on the lattice, integers (N, 2, H/8 + 1,
        W/8 + 1), None where motion is learned; u: relative qualities (N,) in [0, 1]."""
        t = reference.t + 1
        motion = self.flow(x, reference, nodes, u, self.quantise)
        space = self.context.space
        seen = space.seen(reference.x_hat, reference.signal)
        contexts = self.context(seen, reference.feature, motion.flow, u, reference.u, t)
        signal = space.signal(x)
        y = self.g_a(signal, contexts, u)
        z = self.h_a(y).float()
        z_hat = round_through(z.clamp(-LIMIT, LIMIT))
        with in_float32(x):  # tables come from here: float32, exact for integers
            e = self.entropy
            bits_z = e.bits_z(z, u, self.quantise)
            features = e.expect(z_hat, reference, nodes, u, contexts.c2, self.quantise)
            y_hat, bits_y = e.code(y, features, self.quantise)
        decoded, feature = self.g_s(y_hat, contexts, u)
        left = Reference(space.picture(decoded), feature, y_hat, u, motion.memory, t, features, decoded)
        return PFrame(left, contexts.x_bar, bits_y, bits_z.sum(dim=(1, 2, 3)), motion.bits, signal, contexts.c0, motion.flow)
