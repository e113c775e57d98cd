"""The errors a user may meet, each with the exit code of the command that raised it.

PipelineError
├── BadParams      3  params.yaml: unknown, missing or out-of-range key
├── BadInput       3  a file, folder or archive that cannot be used
│   └── Busy       3  another process works on the same thing
├── OutOfMemory    3  values or pictures that need more than there is
├── MarkupChanged  4  a page no longer holds what its parser expects
├── Refused        5  robots.txt, a training opt-out, terms not accepted, 401/403
├── Unreachable    6  network or server failure after retries, or a full disk
├── Unforeseen     1  our bug, in one of several tasks that go on without it
└── Interrupted  130  Ctrl-C; the state is saved
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of every error with a message for the user: what, where, what was expected."""

    exit_code = 3


class BadParams(PipelineError):
    """A parameter file that is not what the stages expect."""


class BadInput(PipelineError):
    """Input data that cannot be used."""


class Busy(BadInput):
    """Another process works on the same thing."""


class OutOfMemory(PipelineError):
    """Memory of this machine or of its GPU did not suffice."""

    @staticmethod
    def of(error: Exception) -> OutOfMemory | None:
        """This error for one that Python, NumPy or PyTorch (not imported for it) raises then; None for any other."""
        from_torch = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
        if not from_torch and not isinstance(error, MemoryError):
            return None
        reason = str(error).strip().split("\n", 1)[0] or "no more to be had"
        return OutOfMemory(f"out of memory: {reason}; in training and style transfer a smaller batch_size needs less")


class MarkupChanged(PipelineError):
    """A page without the nodes that its parser requires.

    Args:
        site: name of the gallery.
        selector: the CSS selector (or JSON path) that did not match as expected.
        expected: how many matches the parser needs, as text ("exactly 1", "at least 1").
        found: how many there were.
        url: the page.
    """

    exit_code = 4

    def __init__(self, *, site: str, selector: str, expected: str, found: int, url: str) -> None:
        super().__init__(f"{site}: markup changed: {selector!r}: expected {expected}, found {found} at {url}")
        self.site, self.selector, self.expected, self.found, self.url = site, selector, expected, found, url


class Refused(PipelineError):
    """The site, its robots.txt or its opt-out signals say no; nothing works around that."""

    exit_code = 5


class Unreachable(PipelineError):
    """The network, the server or the disk failed, and trying again did not help."""

    exit_code = 6


class Unforeseen(PipelineError):
    """An error that nobody thought of, which ends one task and none beside it."""

    exit_code = 1

    @classmethod
    def of(cls, error: Exception) -> PipelineError:
        """An error of this module for any other: of the system as Unreachable, else as a bug of ours."""
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, OSError):
            wrapped: PipelineError = Unreachable(text)
        else:
            wrapped = OutOfMemory.of(error) or cls(f"{text} (a bug of facetopix; --debug shows where)")
        wrapped.__cause__ = error
        return wrapped


class Interrupted(PipelineError):
    """The user asked to stop; what was done is saved, and the same command goes on from there."""

    exit_code = 130
