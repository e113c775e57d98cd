"""Procedural art: characters by two renderers, sprites, items, scenes.

A `character.Character` is drawn from shapes that both renderers share (`figure`, which stacks `hair`, `fringe`,
`wardrobe` and `headwear`; `geometry`, `ramps`):

    smooth renderer   anime_faces, face_parts
    pixel renderer    portraits, stamps, pixel_grid

Sprites and items are `dolls` on the same `pixel_grid`. The drawings are frozen: `sample.revision` pins their pixels.
"""
