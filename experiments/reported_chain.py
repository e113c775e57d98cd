"""Art through the students' own chain of resizes, for experiment (a): what their discriminator was shown.

Facts of the report and its code: alpha flattened onto black; sides above 512 and extreme aspect ratios skipped; nearest
resize to 64 x 64 (large works: short side 64, centre crop; small ones stretched to the square); then bilinear to 128.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

LARGEST = 512
ASPECTS = (0.53, 1.9)
FIRST, LAST = 64, 128


def run(dedup: Path, split: Path, dst: Path) -> int:
    """Write the artworks of `split/pixel` anew, from their originals in `dedup/images`; returns how many.

    Parts and names stay those of the split, so that both chains train on and are judged by the same artworks.
    """
    written = 0
    for path in sorted((split / "pixel").glob("*/*.png")):
        made = reported(Image.open(dedup / "images" / path.name))
        if made is None:
            continue
        target = dst / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        made.save(target)
        written += 1
    return written


def reported(artwork: Image.Image) -> Image.Image | None:
    """128 x 128 RGB; None where the report skips the artwork."""
    width, height = artwork.size
    if max(width, height) > LARGEST or not ASPECTS[0] < width / height < ASPECTS[1]:
        return None
    rgba = artwork.convert("RGBA")
    flat = Image.new("RGB", artwork.size)
    flat.paste(rgba, mask=rgba.getchannel("A"))
    return _first(flat).resize((LAST, LAST), Image.Resampling.BILINEAR)


def _first(flat: Image.Image) -> Image.Image:
    short = min(flat.size)
    if short <= FIRST:
        return flat.resize((FIRST, FIRST), Image.Resampling.NEAREST)
    scaled = flat.resize([round(side * FIRST / short) for side in flat.size], Image.Resampling.NEAREST)
    left, top = ((side - FIRST) // 2 for side in scaled.size)
    return scaled.crop((left, top, left + FIRST, top + FIRST))
