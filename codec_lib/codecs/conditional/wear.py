"""When an encoder sends an I frame again: decoders read what kind a frame is and need not know."""

from __future__ import annotations

import math


class Wear:
    """When to send an I frame again.

    P frames lack more and more of what an I frame had: their relative squared errors, less that of the I frame, are a rent that is paid
    for not sending another one. It is bought when the rent, summed since the last one, has come to ``refresh`` times its price in bits
    per pixel; where errors grow evenly, no other moment costs less. More bits are spent on the same error at higher qualities, so rent
    counts by the root of ``lam``, the trade's lambda over the lowest quality's. Towards the end of a clip nothing is bought that would
    not pay for itself any more.
    """

    def __init__(self, refresh: float, lam: float):
        self.refresh, self.weight = refresh, math.sqrt(lam)
        self.rent = self.last = self.price = self.least = 0.0

    def see(self, lack: float, bpp: float, intra: bool) -> None:
        """A frame was coded: ``lack``, its relative squared error, in ``bpp`` bits per pixel."""
        if intra:
            self.least, self.price, self.rent = lack, bpp, 0.0
        else:
            self.last = self.weight * max(lack - self.least, 0.0)
            self.rent += self.last

    @property
    def enough(self) -> bool:
        """Whether an I frame is due."""
        return self.rent > self.refresh * self.price

    def pays(self, left: int) -> bool:
        """Whether as much rent as an I frame costs is still to come, if each of the ``left`` frames would pay what the last one did."""
        return left * self.last > self.refresh * self.price
