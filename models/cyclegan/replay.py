"""History of generated images shown to a discriminator (Shrivastava et al. 2017; Zhu et al. 2017, sec. 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Replay:
    """A buffer of `capacity` images; a full one answers each query with an old image with probability 1/2.

    Args:
        capacity: of the buffer, in images; 0 returns every query as it is.
        seed: of the buffer's own generator.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.images: list[Tensor] = []
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """Return each image of (N, C, H, W), or an older one that it replaces in the buffer."""
        return torch.stack([self._exchange(image) for image in images.detach()])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.capacity:
            self.images.append(image.clone())
            return image
        if not self.images or torch.rand((), generator=self.generator) < 0.5:
            return image
        place = int(torch.randint(len(self.images), (), generator=self.generator))
        old, self.images[place] = self.images[place], image.clone()
        return old

    def state_dict(self) -> dict[str, Any]:
        """The buffer and its generator, as plain data."""
        return {"images": list(self.images), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, with the images where they are."""
        self.images = list(state["images"])
        self.generator.set_state(state["generator"])
