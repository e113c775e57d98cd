"""Recording the output of every convolution of a generator, and where in it periodic tiles arise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.cyclegan.layers import MirrorConv2d, UpsampleConv2d
from models.tensors import to_signed
from pipeline.images.files import Pixels
from pipeline.metrics.tiles import plane_comb_db

PERIOD = 4  # pixels of a map: two upscaling layers of stride 2 make tiles of 2 and 4
SMALLEST = 16  # pixels a side of a map whose spectrum can be read
DECIMALS = 2
CONVOLUTIONS = {
    nn.Conv2d: "conv",
    MirrorConv2d: "conv",
    UpsampleConv2d: "enlarging",
    nn.ConvTranspose2d: "transposed",
}


@dataclass(frozen=True)
class Layer:
    """The output of one convolution for one face."""

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
        planes = [stretch(plane) for plane in self.maps if np.ptp(plane) > 0]
        return float(np.mean([plane_comb_db(plane, PERIOD) for plane in planes])) if planes else None


@torch.no_grad()
def record_layers(net: nn.Module, face: Pixels) -> list[Layer]:
    """Run a generator on a face and record every convolution, in the order in which they ran.

    Args:
        net: in evaluation mode.
        face: uint8 (H, W, 3) of a size that the net takes.
    """
    layers: list[Layer] = []

    def record(name: str, module: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        kind, kernel, stride = CONVOLUTIONS[type(module)], module.kernel_size[0], module.stride[0]
        maps = output[0].detach().float().cpu().numpy().copy()  # what follows may work in place
        layers.append(Layer(name=name, kind=kind, kernel=kernel, stride=stride, maps=maps))

    convolutions = {name: module for name, module in net.named_modules() if type(module) in CONVOLUTIONS}
    hooks = [module.register_forward_hook(partial(record, name)) for name, module in convolutions.items()]
    try:
        net(to_signed(face)[None].to(next(net.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    return layers


def stretch(plane: NDArray[np.float32]) -> NDArray[np.float64]:
    """Stretch a map over 0..255, so that its comb energy compares with a picture's; a flat one becomes 0."""
    shifted: NDArray[np.float64] = plane.astype(np.float64) - plane.min()
    return shifted * (255 / shifted.max()) if shifted.max() > 0 else shifted


def summarise(layers: Sequence[Layer]) -> list[dict[str, Any]]:
    """A JSON row for every layer: `name kind kernel stride channels height width comb_db`."""
    return [
        {
            "name": layer.name, "kind": layer.kind, "kernel": layer.kernel, "stride": layer.stride,
            "channels": layer.maps.shape[0], "height": layer.maps.shape[1], "width": layer.maps.shape[2],
            "comb_db": None if layer.comb_db is None else round(layer.comb_db, DECIMALS),
        }
        for layer in layers
    ]  # fmt: skip
