"""History of generated images shown to a discriminator (Shrivastava et al. 2017; Zhu et al. 2017, sec. 4)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Replay:
    """Keeps `capacity` images; a full buffer answers each query with an old image with probability 1/2.

    Args:
        capacity: images kept; 0 returns every query as it is.
        seed: of the buffer's own generator.
    """

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity = capacity
        self.images: list[Tensor] = []
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> same shape: each image, or an older one that it replaces in the buffer."""
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
        return {"images": list(self.images), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        self.images = [image.to(device) for image in state["images"]]
        self.generator.set_state(state["generator"])
