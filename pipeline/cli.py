"""The command line. A command binds a stage to its folders and parameters and does nothing else.

Nothing here may affect a result: DVC does not watch this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline import console, layout
from pipeline.console import Bars, Command, CommandGroup, Settings, note, result
from pipeline.export.card import Format
from pipeline.layout import Source
from pipeline.runtime.timings import recorded

if TYPE_CHECKING:
    from pipeline.params import Params

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
sample_app = typer.Typer(no_args_is_help=True, help="The procedural galleries of the default run.")
app.add_typer(sample_app, name="sample")


ParamsFile = Annotated[Path, typer.Option("--params", help="Parameter file.")]
Out = Annotated[Path, typer.Option("--out", help="Output folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
PARAMS = Path("params.yaml")


def main() -> None:
    """Entry point of the console script and of `python -m pipeline`."""
    app(prog_name="facetopix")


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"facetopix {version('facetopix')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,  # noqa: ARG001
    device: Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks run.")] = "auto",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only errors.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Every request and decision.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Tracebacks.")] = False,
) -> None:
    """Galleries of pixel art in, a clean documented data set and faces as pixel art out, reproducibly."""
    console.configure(debug=debug, quiet=quiet, verbose=verbose, device=device)


def _load(file: Path) -> Params:
    from pipeline.params import load

    return load(file)


@contextmanager
def _stage(name: str, params: Path) -> Iterator[tuple[Params, Bars]]:
    from pipeline.curate.importing import own_files

    values = _load(params)
    for folder in (layout.INPUT_ART, *([layout.INPUT_FACES] if values.faces.origin == "inputs" else [])):
        own_files.require_carried(folder)
    with recorded(name, layout.STATE), Bars() as bars:
        yield values, bars


@app.command(cls=console.RetryCommand)
def scrape(
    source: Annotated[Literal[Source, "all"], typer.Option(help="Gallery to crawl.")],
    origin: Annotated[
        Literal["sample", "live"] | None, typer.Option(help="Default: scrape.origin of the parameters.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Crawl a replica that listens there instead.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many works of the listing.")] = None,
    since: Annotated[str | None, typer.Option(help="Only works posted on this day (YYYY-MM-DD) or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Only works posted on this day (YYYY-MM-DD) or earlier.")] = None,
    animated: Annotated[
        bool | None, typer.Option("--animated/--still-only", help="Only works of this kind.", show_default=False)
    ] = None,
    listing: Annotated[
        str | None,
        typer.Option("--list", help="pixeljoint: newest, hall-of-fame, showcase, search; lospec: latest, top, likes."),
    ] = None,
    search: Annotated[str | None, typer.Option(help="pixeljoint: works with this text.")] = None,
    medium: Annotated[str | None, typer.Option(help="lospec: pixel-art, voxel-art, low-poly, ...")] = None,
    category: Annotated[str | None, typer.Option(help="lospec: hand-pixelled, ...")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="lospec: works with this tag; may be repeated.")] = None,
    contact: Annotated[str | None, typer.Option(help="Address or URL for the User-Agent; live crawls need it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="I have read and accept the site's terms.")] = False,
    ignore_opt_outs: Annotated[
        bool, typer.Option("--ignore-opt-outs", help="I have permission: override training opt-outs (logged).")
    ] = False,
    retry: Annotated[
        list[str] | None,
        typer.Option(metavar="[REASON...]", help="Ask again at once for works that failed (for these reasons)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and the robots verdict only.")] = False,
    out: Out = layout.RAW,
    params: ParamsFile = PARAMS,
    as_json: AsJson = False,
) -> None:
    """Crawl a gallery into OUT/<source>/; running it again resumes and refetches nothing that is there.

    What failed is asked for again by later runs, after 1, 2, 4, ... 32 days; --retry asks at once.
    """
    from pipeline.scrape import command

    values = _load(params)
    options = command.ScrapeOptions(
        sources=layout.SOURCES if source == "all" else (source,),
        origin=origin,
        base_url=base_url,
        limit=limit,
        since=since,
        until=until,
        animation=None if animated is None else "animated" if animated else "still",
        listing=listing,
        search=search,
        medium=medium,
        category=category,
        tags=tuple(tag) if tag else None,
        contact=contact,
        yes=yes,
        ignore_opt_outs=ignore_opt_outs,
        retry=tuple(retry or ()),
    )
    options = command.ask_for_terms(options, values.scrape, console.confirm)
    if dry_run:
        result(command.plan(options, values.scrape, values.sample, layout.STATE), as_json=True)
        return
    if hint := command.hint(options, values.scrape):
        note(hint)
    with recorded(f"scrape_{source}", layout.STATE), Bars() as bars:
        outcome = command.run(options, values.scrape, values.sample, out, layout.STATE, bars)
    result(outcome.summary if as_json else outcome.counts, as_json)
    for remark in outcome.remarks:
        note(remark)
    outcome.raise_worst()


@app.command()
def forget(
    artist: Annotated[list[str] | None, typer.Option(help="Every work of this artist; may be repeated.")] = None,
    work: Annotated[list[str] | None, typer.Option("--id", help="The work with this row id; may be repeated.")] = None,
    source: Annotated[Source | None, typer.Option(help="The artist on this site only.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take works down: out of the crawl state and onto the blocklist that later crawls and exports honour."""
    from pipeline.takedown import command as takedown

    outcome = takedown.run(
        artists=artist or [], ids=work or [], source=source, state=layout.STATE,
        blocklist=layout.BLOCKLIST, outputs=(layout.DATA, layout.EXPORTS), dry_run=dry_run,
    )  # fmt: skip
    console.show(outcome, takedown.lines, as_json)


@app.command()
def scrape_page(
    page: Annotated[str, typer.Argument(help="URL or file of one page.")],
    source: Annotated[Source, typer.Option(help="Whose parser.")],
    params: ParamsFile = PARAMS,
) -> None:
    """Run one page through its parser and print what was found."""
    from pipeline.scrape import preview

    result(preview.run_page(page, source, _load(params).scrape), as_json=True)


@sample_app.command()
def serve(
    port: Annotated[int, typer.Option(min=0, max=65000, help="Of the first gallery; 0 = free ports.")] = 0,
    params: ParamsFile = PARAMS,
) -> None:
    """Serve the sample galleries on loopback, for a look in a browser; Ctrl-C ends."""
    from pipeline.sample.galleries import site

    site.serve_forever(_load(params).sample, layout.SOURCES, port=port, on_ready=_print_addresses)


def _print_addresses(addresses: dict[str, str]) -> None:
    for name, address in addresses.items():
        typer.echo(f"{name}: {address}")


@app.command()
def add(
    kind: Literal["art", "faces"],
    paths: Annotated[list[Path], typer.Argument(help="Folders, images, zip or tar archives.")],
) -> None:
    """Bring your own art or faces below inputs/, with their manifest.csv where they have one."""
    from pipeline.curate.importing import stage as importing

    outcome = importing.add(kind, paths, layout.INPUTS)
    result({"images": outcome["images"]})
    if outcome.get("tracked"):
        note(f"under DVC's care: commit what git has staged below {layout.INPUTS}, and `dvc push` what you share")


@app.command()
def import_art(out: Out = layout.IMPORTED) -> None:
    """Stage: inputs/art in the layout of a crawled gallery."""
    from pipeline.curate.importing import own_files
    from pipeline.curate.importing import stage as importing

    with recorded("import_art", layout.STATE), own_files.accounted(layout.INPUT_ART):
        result(importing.run(layout.INPUT_ART, out, layout.BLOCKLIST))


@app.command()
def faces(out: Out = layout.FACES, params: ParamsFile = PARAMS) -> None:
    """Stage: the faces, drawn (sample) or read from inputs/faces."""
    from pipeline.curate.faces import stage
    from pipeline.curate.importing import own_files

    with _stage("faces", params) as (values, _):
        size, blocklist = values.resize.size, layout.BLOCKLIST
        own = own_files.accounted(layout.INPUT_FACES) if values.faces.origin == "inputs" else nullcontext()
        with own:
            stats = stage.run(layout.INPUT_FACES, out, values.faces, values.sample, size, values.executor, blocklist)
        result(stats)


@app.command()
def dedup(out: Out = layout.DEDUP, params: ParamsFile = PARAMS) -> None:
    """Stage: one copy of each artwork."""
    from pipeline.curate.dedup import stage

    sources = [*(layout.RAW / name for name in layout.SOURCES), layout.IMPORTED]
    with _stage("dedup", params) as (values, _):
        result(stage.run(sources, out, values.dedup, values.executor, layout.STATE))


@app.command()
def flatten(out: Out = layout.FLATTEN, params: ParamsFile = PARAMS) -> None:
    """Stage: transparency onto a stated background."""
    from pipeline.curate import flatten as stage

    with _stage("flatten", params) as (values, _):
        result(stage.run(layout.DEDUP, out, values.flatten, values.executor, layout.STATE))


@app.command()
def grid(out: Out = layout.GRID, params: ParamsFile = PARAMS) -> None:
    """Stage: one pixel per cell."""
    from pipeline.curate import grid as stage

    with _stage("grid", params) as (values, _):
        result(stage.run(layout.FLATTEN, out, values.grid, values.executor, layout.STATE))


@app.command()
def resize(out: Out = layout.RESIZE, params: ParamsFile = PARAMS) -> None:
    """Stage: every artwork on the same grid, by integers."""
    from pipeline.curate import resize as stage

    with _stage("resize", params) as (values, _):
        result(stage.run(layout.GRID, out, values.resize, values.executor, layout.STATE))


@app.command()
def split(out: Out = layout.SPLIT, params: ParamsFile = PARAMS) -> None:
    """Stage: train, val and test, no hand on two sides."""
    from pipeline.curate.split import stage

    with _stage("split", params) as (values, _):
        sides = layout.RESIZE, layout.FACES
        stats = stage.run(
            *sides, out, values.split, values.seed, layout.DEDUP, executor=values.executor, state=layout.STATE
        )
        result(stats)


@app.command()
def train(out: Out = layout.CYCLEGAN, params: ParamsFile = PARAMS) -> None:
    """Stage: the generators; goes on where a killed run was."""
    with _stage("train", params) as (values, bars):
        from pipeline.cyclegan import stage  # torch takes seconds: what is wrong with the parameters is said before

        stage.run(
            layout.SPLIT, layout.GRID, out, layout.TRAIN_PLOTS, layout.TRAIN_METRICS, params=values.train,
            resize=values.resize, epochs=values.epochs, seed=values.seed, executor=values.executor, state=layout.STATE,
            device=Settings.device, progress=bars,
        )  # fmt: skip


@app.command()
def translate(out: Out = layout.TRANSLATE, params: ParamsFile = PARAMS) -> None:
    """Stage: test faces and smooth test artworks through every trained generator."""
    with _stage("translate", params) as (values, bars):
        from pipeline.cyclegan import translate as stage

        device = Settings.device
        result(stage.run(layout.SPLIT, layout.CYCLEGAN, out, params=values.translate, device=device, progress=bars))


@app.command()
def stylize(out: Out = layout.STYLE, params: ParamsFile = PARAMS) -> None:
    """Stage: style transfer, as in the report and on the cell canvas."""
    with _stage("stylize", params) as (values, bars):
        from pipeline.runtime.devices import pick_device
        from pipeline.style import stage

        stats = stage.run(
            layout.SPLIT, out, values.style, values.resize, values.seed, values.style.threads, layout.STATE,
            device=pick_device(Settings.device), progress=bars,
        )  # fmt: skip
        result(stats)


@app.command()
def evaluate(out: Out = layout.BASELINES, params: ParamsFile = PARAMS) -> None:
    """Stage: every method and the trivial baselines in one table."""
    from pipeline.evaluate import stage

    with _stage("evaluate", params) as (values, _):
        stage.run(
            layout.SPLIT, layout.TRANSLATE, layout.STYLE, dst=layout.EVALUATE_METRICS, plots=layout.EVALUATE_PLOTS,
            pictures=out, params=values.evaluate, resize=values.resize, seed=values.seed,
        )  # fmt: skip


@app.command()
def report(
    readme: Annotated[bool, typer.Option("--readme", help="Also write docs/: the README's figures and strip.")] = False,
    out: Out = layout.REPORTS,
    params: ParamsFile = PARAMS,
) -> None:
    """Stage: the page that a person reads."""
    from pipeline.report import stage

    with _stage("report", params) as (values, _):
        stage.run(Path(), out, values)
    note(f"open {out / 'index.html'}")
    if readme:
        from pipeline.report import readme as figures

        figures.update(Path("README.md"), figures.write(Path(), layout.DOCS))


@app.command()
def convert(
    pictures: Annotated[list[str], typer.Argument(help="Images, folders or glob patterns.")],
    out: Annotated[Path, typer.Option("--out", help="Output folder.")],
    method: Annotated[Literal["cell", "majority", "nearest", "style"], typer.Option(help="How.")] = "cell",
    weights: Annotated[
        str | None, typer.Option(help="Of --method cell: `shipped` (default), `trained` here, or FILE.")
    ] = None,
    cells: Annotated[str | None, typer.Option(help="N (longest side) or WxH; default: as trained, or 32.")] = None,
    colors: Annotated[int | None, typer.Option(min=1, max=256, help="At most this many colours a picture.")] = None,
    palette: Annotated[str | None, typer.Option(help="Palette file or name, instead of --colors.")] = None,
    style: Annotated[list[Path] | None, typer.Option(help="Artwork of --method style; may be repeated.")] = None,
    features: Annotated[str, typer.Option(help="Of --method style: random, imagenet or FILE.safetensors.")] = "random",
    iterations: Annotated[int, typer.Option(min=1, max=100000, help="Of --method style.")] = 100,
    scale: Annotated[int, typer.Option(min=1, max=64, help="Enlargement of NAME@<scale>x.png.")] = 8,
    force: Annotated[bool, typer.Option("--force", help="Overwrite.")] = False,
    as_json: AsJson = False,
) -> None:
    """Pictures in, pixel art out: NAME.png with one pixel per cell, and NAME@<scale>x.png."""
    from pipeline.convert import command

    with Bars() as bars:
        outcome = command.run(
            pictures, out, method=method, cells=cells, colours=colors, palette=palette, scale=scale, force=force,
            trained=layout.CYCLEGAN, weights=weights, device=Settings.device, artworks=style or [], features=features,
            iterations=iterations, note=note, progress=bars,
        )  # fmt: skip
    result(outcome if as_json else outcome["counts"], as_json)
    command.raise_for_failures(outcome)


@app.command()
def activations(
    face: Annotated[Path, typer.Argument(help="A face as PNG, opaque; best of the size of the training.")],
    weights: Annotated[Path, typer.Option(help="Weights of a generator, or a folder of them.")] = layout.CYCLEGAN,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = layout.EXPORTS / "activations",
    as_json: AsJson = False,
) -> None:
    """What every convolution of the trained generators makes of a face, as a figure, and where tiles arise."""
    from pipeline.cyclegan.activations import command

    outcome = command.run(face, weights, out, Settings.device)
    console.show(outcome, command.lines, as_json)


@app.command()
def pairs(
    sheet: Annotated[Path, typer.Option(help="PNG file, replaced if it exists.")] = layout.EXPORTS / "pairs.png",
    count: Annotated[int, typer.Option(min=1, max=200, help="Of pairs.")] = 24,
    params: ParamsFile = PARAMS,
) -> None:
    """The pairs that `cell` learns from: training artworks, and smooth versions of them."""
    values = _load(params)
    from pipeline.cyclegan.pairs import command

    outcome = command.run(
        layout.SPLIT, layout.GRID, sheet, cells=values.train.cell.cells or [values.resize.cells],
        factor=values.resize.size // values.resize.cells, count=count, seed=values.seed,
    )  # fmt: skip
    console.show(outcome, lambda outcome: [f"{outcome['sheet']}: {outcome['pairs']} pairs"], as_json=False)


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Images or folders.")],
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet PNG there.")] = None,
    max_cell: Annotated[int | None, typer.Option(min=2, max=128, help="Largest cell; default 16.")] = None,
    as_json: AsJson = False,
) -> None:
    """Format, size, frames, alpha, colours, cell and native size of images; of a stage's folder also its books."""
    from pipeline.inspect import command, contact_sheet

    with Bars() as bars:
        facts = command.inspect(paths, max_cell=max_cell, progress=bars)
    if sheet is not None:
        for page in contact_sheet.write(facts["images"], sheet):
            note(f"wrote {page}")
    console.show(facts, command.lines, as_json)


@app.command()
def export(
    format: Annotated[Format, typer.Option("--format", help="parquet needs the extra `export`.")],
    src: Annotated[Path, typer.Option("--from", help="data/split, or any folder with a manifest.")] = layout.SPLIT,
    out: Annotated[Path | None, typer.Option("--out", help="Default: a folder below exports/.")] = None,
    licence: Annotated[list[str] | None, typer.Option(help="Only works under this one; may be repeated.")] = None,
    shard_size: Annotated[int, typer.Option(min=1, help="Works a shard.")] = 1000,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export.")] = False,
    as_json: AsJson = False,
) -> None:
    """Works with their provenance in shards, for training elsewhere; the blocklist is honoured."""
    from pipeline.export import command

    outcome = command.run(
        src, out, format=format, licences=licence or [], shard_size=shard_size, blocked=layout.BLOCKLIST,
        exports=layout.EXPORTS, force=force,
    )  # fmt: skip
    result(outcome, as_json)


@app.command()
def clean(yes: Annotated[bool, typer.Option("--yes", help="Remove without asking.")] = False) -> None:
    """Empty .state/: crawls, caches, unfinished trainings. Says first what it would remove."""
    from pipeline.runtime import clean as state

    contents = state.contents(layout.STATE)
    for name, files, size in contents:
        typer.echo(f"{layout.STATE / name}: {files} files, {size / 2**20:.1f} MiB")
    if contents and (yes or typer.confirm("Remove all of this?")):
        state.empty(layout.STATE)


for _command in (*app.registered_commands, *sample_app.registered_commands):
    if not issubclass(_command.cls or object, Command):
        _command.cls = Command
