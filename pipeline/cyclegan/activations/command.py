"""`facetopix activations`: the maps of every convolution of trained generators on a face of the user's choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.cyclegan import generators
from pipeline.cyclegan.activations.heatmaps import draw_figure
from pipeline.cyclegan.activations.recorder import record_layers, summarise
from pipeline.errors import BadInput
from pipeline.images.files import Pixels, encode_png, read_rgb
from pipeline.runtime import devices
from pipeline.runtime.files import write_atomic

CHANNELS = 16
LARGEST = 512  # pixels a side of a face


def run(face: Path, weights: Path, out: Path, device: str) -> dict[str, Any]:
    """Write `<out>/<face>-<generator>.png` for each generator: rows are layers, columns are channels.

    Args:
        face: an opaque picture whose sides the generators can take.
        weights: `a2b.safetensors` of a generator, its folder, or a folder of such folders.
        out: made if need be; a figure of the same name is replaced.
        device: auto | cpu | cuda.

    Returns:
        `face`, and under `generators` by name: the `figure`'s path and `layers` (see `recorder.summarise`).

    Raises:
        BadInput: no such face, or one with transparency or of a size that a generator cannot take; no weights.
    """
    if not face.is_file():
        raise BadInput(f"{face}: no such picture; expected a face as PNG, opaque")
    picture = read_rgb(face)
    figures = {}
    for path in _weights(weights):
        net, shape = generators.load(path, devices.pick_device(device))
        _check(face, picture, shape)
        layers = record_layers(net, picture)
        side = max(max(layer.maps.shape[1:]) for layer in layers)
        figure = out / f"{face.stem}-{shape.generator}.png"
        write_atomic(figure, encode_png(draw_figure(layers, channels=CHANNELS, side=side)))
        figures[shape.generator] = {"figure": str(figure), "layers": summarise(layers)}
    return {"face": str(face), "generators": figures}


def _weights(weights: Path) -> list[Path]:
    if not weights.is_dir():
        return [weights]
    single = weights / "a2b.safetensors"
    files = [single] if single.is_file() else sorted(weights.glob("*/a2b.safetensors"))
    if not files:
        raise BadInput(f"{weights}: no a2b.safetensors there or one folder below; run `facetopix train` first")
    return files


def _check(face: Path, picture: Pixels, shape: generators.Shape) -> None:
    step, least = (shape.factor, shape.factor) if shape.generator == "cell" else (4, 32)
    if any(side % step or not least <= side <= LARGEST for side in picture.shape[:2]):
        raise BadInput(
            f"{face}: {picture.shape[1]}x{picture.shape[0]} pixels; the {shape.generator} generator takes sides of "
            f"{least} to {LARGEST} that are multiples of {step}, best the {shape.size} it was trained on"
        )


def lines(outcome: dict[str, Any]) -> list[str]:
    """The outcome of `run` as a line for every layer: where the comb energy rises, the tiles arise."""
    text = []
    for name, generator in outcome["generators"].items():
        text.append(f"{name}: {generator['figure']}")
        text += [_line(layer) for layer in generator["layers"]]
    return text


def _line(layer: dict[str, Any]) -> str:
    size = f"{layer['channels']} x {layer['height']} x {layer['width']}"
    comb = "" if layer["comb_db"] is None else f"comb {layer['comb_db']:+.1f} dB"
    return f"  {layer['name']:<24} {layer['kind']:<10} {size:<16} {comb}".rstrip()
