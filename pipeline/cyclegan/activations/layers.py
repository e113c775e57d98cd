"""What every convolution of a generator does to one face, and where periodic tiles arise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.cyclegan.layers import MirrorConv2d, TwiceConv2d
from models.tensors import to_signed
from pipeline.images.files import Pixels
from pipeline.metrics.tiles import plane_comb_db

PERIOD = 4  # pixels of a map: two upscaling layers of stride 2 make tiles of 2 and 4
SMALLEST = 16  # pixels a side of a map whose spectrum can be read
DECIMALS = 2
CONVOLUTIONS = {
    nn.Conv2d: "conv",
    MirrorConv2d: "conv",
    TwiceConv2d: "enlarging",
    nn.ConvTranspose2d: "transposed",
}


@dataclass(frozen=True)
class Layer:
    """The output of one convolution."""

    name: str  # of the module
    kind: str  # conv | enlarging | transposed
    kernel: int
    stride: int
    maps: NDArray[np.float32]  # (C, H, W), before any norm

    @property
    def comb_db(self) -> float | None:
        """Mean comb energy of the channels that are not flat; None where a map is too small or all are flat."""
        if min(self.maps.shape[1:]) < SMALLEST or self.maps.shape[1] % PERIOD or self.maps.shape[2] % PERIOD:
            return None
        planes = [levels(plane) for plane in self.maps if np.ptp(plane) > 0]
        return float(np.mean([plane_comb_db(plane, PERIOD) for plane in planes])) if planes else None


@torch.no_grad()
def layers(net: nn.Module, face: Pixels) -> list[Layer]:
    """Every convolution of a generator, in the order in which they ran.

    Args:
        net: in evaluation mode.
        face: uint8 (H, W, 3) of a size that the net takes.
    """
    seen: list[Layer] = []
    hooks = [
        module.register_forward_hook(_keeper(name, module, seen))
        for name, module in net.named_modules()
        if type(module) in CONVOLUTIONS
    ]
    try:
        net(to_signed(face)[None].to(next(net.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return seen


def _keeper(name: str, module: nn.Module, seen: list[Layer]) -> Any:
    assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    kind, kernel, stride = CONVOLUTIONS[type(module)], module.kernel_size[0], module.stride[0]

    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        maps = output[0].detach().float().cpu().numpy().copy()  # what follows may work in place
        seen.append(Layer(name=name, kind=kind, kernel=kernel, stride=stride, maps=maps))

    return keep


def levels(plane: NDArray[np.float32]) -> NDArray[np.float64]:
    """A map stretched over 0..255, so that its comb energy compares with a picture's; a flat one becomes 0."""
    shifted: NDArray[np.float64] = plane.astype(np.float64) - plane.min()
    return shifted * (255 / shifted.max()) if shifted.max() > 0 else shifted


def summary(found: Sequence[Layer]) -> list[dict[str, Any]]:
    """A row a layer: `name kind kernel stride channels height width comb_db`."""
    return [
        {
            "name": layer.name, "kind": layer.kind, "kernel": layer.kernel, "stride": layer.stride,
            "channels": layer.maps.shape[0], "height": layer.maps.shape[1], "width": layer.maps.shape[2],
            "comb_db": None if layer.comb_db is None else round(layer.comb_db, DECIMALS),
        }
        for layer in found
    ]  # fmt: skip
