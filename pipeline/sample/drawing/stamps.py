"""Hand-made pixels for the features of a face in the pixel renderer, by size of the picture.

Letters: K lash, D dark iris, I iris, W white, L lips and lines, M mouth inside, R blush, . nothing.
Eyes are the viewer's left one: the outer corner is on the left.
"""

from __future__ import annotations

Stamp = tuple[str, ...]

EYES: dict[int, dict[str, Stamp]] = {  # by width of the open eye
    2: {
        "open": ("KK", "KW", "DI"),
        "half": ("..", "KK", "DI"),
        "closed": ("..", "KK", ".."),
    },
    3: {
        "open": ("KKK", "KDW", ".DI", ".II"),
        "half": ("...", "KKK", "KDW", ".II"),
        "closed": ("...", ".KK", "K..", "..."),
    },
    4: {
        "open": (".KKK", "KKDD", "KDWD", ".DDI", ".III"),
        "half": ("....", ".KKK", "KKWD", ".DDI", ".III"),
        "closed": ("....", "....", ".KKK", "K...", "...."),
    },
    5: {
        "open": (".KKKK", "KKKDK", "KDWWD", "WDWDD", "WDDII", ".DIII"),
        "half": (".....", ".KKKK", "KKKKK", "WDWDD", "WDDII", ".DIII"),
        "closed": (".....", ".....", "..KKK", ".K..K", "K....", "....."),
    },
    7: {
        "open": ("..KKKK.", ".KKKKKK", "KKDDDDK", "KDWWDDW", "WDWWKDW", "WDDKKIW", ".DDDII.", "..III.."),
        "half": (".......", "..KKKK.", ".KKKKKK", "KKWWKDW", "WDWWKDW", "WDDKKIW", ".DDDII.", "..III.."),
        "closed": (".......", ".......", ".......", "...KKK.", ".KK...K", "K......", ".......", "......."),
    },
}

MOUTHS: dict[int, dict[str, Stamp]] = {
    2: {
        "smile": ("LL",), "line": ("LL",), "open": ("MM",), "pout": ("L",), "grin": ("LLL",), "worried": ("LL",),
    },
    3: {
        "smile": ("L..L", ".LL."), "line": ("LLL",), "open": ("LLL", ".M."), "pout": ("LL",),
        "grin": ("LWWL", ".LL."), "worried": (".LL.", "L..L"),
    },
    5: {
        "smile": ("L....L", ".LLLL."), "line": ("LLLLL",), "open": ("LLLLL", "LMMML", ".LLL."), "pout": (".LL", "L.."),
        "grin": ("LLLLLL", "LWWWWL", ".LLLL."), "worried": (".LLL.", "L...L"),
    },
}  # fmt: skip

BROWS: dict[str, tuple[float, float]] = {  # height of the outer and the inner end above the rest position, head units
    "calm": (0.0, 0.03),
    "angry": (0.1, -0.1),
    "worried": (-0.07, 0.1),
    "raised": (0.1, 0.14),
}


def eyes_for(cells: int) -> dict[str, Stamp]:
    """Stamps of an eye for a picture of so many cells a side, by state of the lids."""
    return EYES[2 if cells < 25 else 3 if cells < 34 else 4 if cells < 42 else 5 if cells < 54 else 7]


def mouths_for(cells: int) -> dict[str, Stamp]:
    """Stamps of a mouth for a picture of so many cells a side, by expression."""
    return MOUTHS[2 if cells < 25 else 3 if cells < 46 else 5]
