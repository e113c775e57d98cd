"""The feature network of the style transfer: trained by torchvision, from a file, or random."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.styletransfer.vgg import LAYERS, VGG19, random_weights
from pipeline.errors import BadInput, BadParams, Unreachable
from pipeline.runtime import seeds
from pipeline.runtime.files import sha256


def load(source: str, layers: Sequence[str], seed: int, *, average_pooling: bool) -> VGG19:
    """The convolutions of VGG-19, at least down to these layers.

    Args:
        source: `imagenet`, `random` or <path>.safetensors.
        layers: those that will be asked for.
        seed: of the whole run, for random weights.
        average_pooling: instead of max pooling.

    Raises:
        BadParams: a layer that VGG-19 does not have.
        BadInput: a file that is not VGG-19, or lacks a layer; weights of torchvision's that are not.
        Unreachable: `imagenet` without a network and without the file.
    """
    if unknown := [name for name in layers if name not in LAYERS]:
        raise BadParams(f"style.content_layer, style.style_layers: {unknown[0]!r} is not one of {', '.join(LAYERS)}")
    try:
        network = VGG19(_weights(source, seed), average_pooling=average_pooling)
    except ValueError as error:
        raise BadInput(f"style.features: {source}: not VGG-19 under torchvision's keys: {error}") from error
    if missing := [name for name in layers if name not in network.layers]:
        raise BadInput(
            f"style.features: {source} holds {', '.join(network.layers)}; style.content_layer and "
            f"style.style_layers also ask for {', '.join(dict.fromkeys(missing))}"
        )
    return network


def _weights(source: str, seed: int) -> dict[str, Tensor]:
    if source == "random":
        return random_weights(torch.Generator().manual_seed(seeds.derive(seed, "style", "features")))
    if source == "imagenet":
        return _imagenet()
    try:
        weights = dict(load_file(source))
    except (OSError, SafetensorError) as error:
        raise BadInput(f"style.features: {Path(source)}: not a readable safetensors file: {error}") from error
    if broken := next((name for name, values in weights.items() if not values.isfinite().all()), None):
        raise BadInput(f"style.features: {Path(source)}: weights that are no numbers (NaN or infinite), first {broken}")
    return weights


def _imagenet() -> dict[str, Tensor]:
    from torchvision.models import VGG19_Weights  # takes as long as torch itself, and other sources need none of it

    _check(imagenet_file())
    try:
        state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise Unreachable(
            f"style.features: imagenet: torchvision could not fetch its weights ({' '.join(str(error).split())}): "
            f"place the file at {imagenet_file()}, or set style.features to <path>.safetensors with the keys of "
            "torchvision's vgg19().features, or to random"
        ) from error
    return {key.removeprefix("features."): value for key, value in state.items() if key.startswith("features.")}


def _check(file: Path) -> None:
    """Compare a downloaded file with the hash in its name: torchvision checks downloads, but no file that exists."""
    if not file.exists():
        return
    expected = file.stem.rpartition("-")[2]
    if not (digest := sha256(file)).startswith(expected):
        raise BadInput(
            f"style.features: imagenet: {file}: expected a sha256 that starts with {expected}, "
            f"got {digest[:8]}; remove it"
        )


def imagenet_file() -> Path:
    """The file in which torchvision looks for its weights before it downloads them."""
    from torchvision.models import VGG19_Weights

    name: str = VGG19_Weights.IMAGENET1K_V1.url.rpartition("/")[2]
    return Path(torch.hub.get_dir()) / "checkpoints" / name


def digest(network: VGG19) -> str:
    """Hex sha256 of the weights of a network."""
    sha = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        sha.update(name.encode())
        sha.update(value.contiguous().numpy().tobytes())
    return sha.hexdigest()
