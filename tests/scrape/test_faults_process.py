"""The command as a process among others: killed, interrupted, out of disk; and what the server sees of the next one."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import hostile_pages as pages
import pytest
from hostile import Rule
from hostile_crawl import BIN, Hostile, LoggedRequest, check_manners, home_of, read, run_here, serving, started
from hostile_pages import PNG

from pipeline.runtime.manifest import Row

WORKS = pages.pieces(20)
SLOW = WORKS[7]
INTERRUPTED, UNREACHABLE = 130, 6


def slow(seconds: float) -> Rule:
    """The image of one work lets wait for itself, once."""
    return Rule(SLOW.image_path, 200, pages.png(SLOW.number), PNG, times=1, wait=seconds)


def scraping(server: Hostile, out: str = "out") -> list[str]:
    return ["scrape", "--source", "lospec", "--base-url", server.url(), "--out", out]


def run_printed_command(home: Path, stderr: str) -> int:
    """Run the command that the last line of stderr ends with; its exit code."""
    program, *arguments = shlex.split(stderr.splitlines()[-1].partition("to go on: ")[2])
    assert program == "facetopix"
    return run_here(home, *arguments)


def interrupted_at(home: Path, server: Hostile, target: str, out: str = "out", times: int = 1) -> tuple[int, str]:
    """Start a crawl, send Ctrl-C when the target is asked for, and again a second later; exit code and stderr."""
    with started(home, *scraping(server, out)) as process:
        server.wait_for(target)
        process.send_signal(signal.SIGINT)
        for _ in range(times - 1):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=1)
            process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    return process.returncode, stderr


def rows(home: Path, out: str = "out") -> dict[str, Row]:
    """By source_id, but for the times."""
    by_id, _ = read(home / out / "lospec")
    return {key: {**row, "fetched_at": None} for key, row in by_id.items()}


def neutral(by_id: dict[str, Row], server: Hostile) -> dict[str, Row]:
    """Rows without the ports of one server."""
    text = json.dumps(by_id)
    for number, port in enumerate(server.ports):
        text = text.replace(f"127.0.0.1:{port}", f"port{number}")
    neutral_rows: dict[str, Row] = json.loads(text)
    return neutral_rows


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    home = tmp_path_factory.mktemp("undisturbed")
    with serving(home / "server", pages.lospec(WORKS)) as server:
        assert run_here(home, *scraping(server)) == 0
    return neutral(rows(home), server)


def twice(requests: Sequence[LoggedRequest]) -> set[str]:
    """Targets that were asked for more than once by all crawls together."""
    counts = Counter(request.key for request in requests)
    return {key[2] for key, count in counts.items() if count > 1}


LISTING = Rule("/gallery", wait=30, times=1, method="POST")
PAGE = Rule(SLOW.page_path, wait=30, times=1)


@pytest.mark.parametrize("moment", [LISTING, PAGE, slow(30)], ids=["listing", "page", "image"])
def test_killed_crawl_asks_again_for_the_work_in_flight_at_most(
    tmp_path: Path, undisturbed: dict[str, Row], moment: Rule
) -> None:
    with serving(tmp_path / "server", [moment, *pages.lospec(WORKS)]) as server:
        with started(tmp_path, *scraping(server)) as process:
            server.wait_for(moment.target)
            process.kill()
        assert not (tmp_path / "out").exists()
        before = len(server.settled())
        assert run_here(tmp_path, *scraping(server)) == 0
        check_manners(server.settled()[before:])
        in_flight = {moment.target} if moment is LISTING else {SLOW.page_path, SLOW.image_path}
        assert twice(server.settled()) <= {"/robots.txt", *in_flight}
        assert neutral(rows(tmp_path), server) == undisturbed


@dataclass(frozen=True)
class Interrupted:
    """A crawl that got Ctrl-C while an image was on its way, and the printed command run afterwards."""

    code: int
    stderr: str
    last: LoggedRequest  # request before the end
    output: bool  # there was an output folder
    code_again: int
    asked_again: list[LoggedRequest]
    twice: set[str]
    rows: dict[str, Row]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Interrupted:
    home = tmp_path_factory.mktemp("interrupted")
    with serving(home / "server", [slow(1.5), *pages.lospec(WORKS)]) as server:
        code, stderr = interrupted_at(home, server, SLOW.image_path, "my out")
        before, output = server.settled(), (home / "my out").exists()
        code_again = run_printed_command(home, stderr)
        after = server.settled()
        by_id = neutral(rows(home, "my out"), server)
    return Interrupted(code, stderr, before[-1], output, code_again, after[len(before) :], twice(after), by_id)


def test_first_ctrl_c_finishes_the_work_in_flight_and_asks_for_no_other(interrupted: Interrupted) -> None:
    assert interrupted.code == INTERRUPTED
    assert (interrupted.last.target, interrupted.last.hung_up) == (SLOW.image_path, False)
    assert not interrupted.output


def test_ctrl_c_is_told_on_one_line(interrupted: Interrupted) -> None:
    assert "Traceback" not in interrupted.stderr
    assert len(re.findall(r"^facetopix: ", interrupted.stderr, re.MULTILINE)) == 1
    assert interrupted.stderr.splitlines()[-1].startswith("facetopix: interrupted")


def test_printed_command_goes_on_and_asks_for_nothing_again(
    interrupted: Interrupted, undisturbed: dict[str, Row]
) -> None:
    check_manners(interrupted.asked_again)
    assert (interrupted.code_again, interrupted.twice) == (0, {"/robots.txt"})
    assert interrupted.rows == undisturbed


def test_second_ctrl_c_stops_at_once_and_still_tells_how_to_go_on(tmp_path: Path, undisturbed: dict[str, Row]) -> None:
    with serving(tmp_path / "server", [slow(300), *pages.lospec(WORKS)]) as server:
        code, stderr = interrupted_at(tmp_path, server, SLOW.image_path, times=2)
        assert (code, "Traceback" in stderr) == (INTERRUPTED, False)
        assert run_printed_command(tmp_path, stderr) == 0
        assert twice(server.settled()) <= {"/robots.txt", SLOW.page_path, SLOW.image_path}
        assert neutral(rows(tmp_path), server) == undisturbed


def test_ctrl_c_while_a_parked_host_is_waited_for_does_not_wait(tmp_path: Path) -> None:
    parked = Rule(SLOW.image_path, 429, b"", (("Retry-After", "600"),), times=1)
    with serving(tmp_path / "server", [parked, *pages.lospec(WORKS)]) as server:
        code, stderr = interrupted_at(tmp_path, server, SLOW.image_path)
        assert (code, run_printed_command(tmp_path, stderr)) == (INTERRUPTED, 0)
        assert twice(server.settled()) <= {"/robots.txt", SLOW.page_path, SLOW.image_path}


def test_ctrl_c_while_a_crawl_delay_passes_does_not_wait(tmp_path: Path) -> None:
    robots = Rule("/robots.txt", body=b"User-agent: *\nCrawl-delay: 300\n")
    with serving(tmp_path / "server", [robots, *pages.lospec(WORKS)]) as server:
        assert interrupted_at(tmp_path, server, "/robots.txt")[0] == INTERRUPTED
        assert [request.target for request in server.requests()] == ["/robots.txt"]


def test_result_that_cannot_be_written_is_an_error_and_costs_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "server", pages.lospec(WORKS)) as server, Path("/dev/full").open("w") as full:
        command = [str(BIN / "facetopix"), *scraping(server), "--json"]
        done = subprocess.run(
            command, cwd=tmp_path, env=home_of(tmp_path), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, "Traceback" in done.stderr) == (UNREACHABLE, False), done.stderr
    assert len(rows(tmp_path)) == len(WORKS)


def in_a_small_disk(folder: Path, script: str) -> None:
    """Run a shell script where `folder/disk` is a file system of 1 MiB, seen by this script alone."""
    (folder / "disk").mkdir()
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = "mount -t tmpfs -o size=1m none disk"
    if subprocess.run([*unshare, mount], cwd=folder, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    subprocess.run([*unshare, f"{mount}; {script}"], cwd=folder, env=home_of(folder), check=True, timeout=120)


@pytest.mark.parametrize(("cwd", "out", "refetched"), [("disk", "out", 1), (".", "disk/out", 0)])
def test_full_disk_ends_with_code_6_and_the_same_command_goes_on_once_there_is_room(
    tmp_path: Path, cwd: str, out: str, refetched: int
) -> None:
    """First the state runs out of room, then the output alone; the disk then grows."""
    images = [Rule(work.image_path, body=pages.png(work.number, padding=64 * 1024), headers=PNG) for work in WORKS]
    with serving(tmp_path / "server", [*images, *pages.lospec(WORKS)]) as server:
        command = (
            f"facetopix scrape --source lospec --base-url {server.url()} --out {out} --params {tmp_path}/params.yaml"
        )
        in_a_small_disk(
            tmp_path,
            f"""cd {cwd}
{command} 2> {tmp_path}/first.txt; echo $? > {tmp_path}/first.code
find . -name manifest.jsonl > {tmp_path}/first.found
mount -o remount,size=16m {tmp_path}/disk
{command} 2> {tmp_path}/second.txt; echo $? > {tmp_path}/second.code
find . -name '*.partial' > {tmp_path}/second.left
cp -r {out} {tmp_path}/out""",
        )
        requests = [request.target for request in server.requests() if request.target.endswith(".png")]
    first, second = ((tmp_path / f"{run}.txt").read_text() for run in ("first", "second"))
    codes = [(tmp_path / f"{run}.code").read_text().strip() for run in ("first", "second")]
    assert (codes, "Traceback" in first) == ([str(UNREACHABLE), "0"], False), first + second
    assert "disk" in first.splitlines()[-1]
    assert not (tmp_path / "first.found").read_text()
    assert not (tmp_path / "second.left").read_text()
    assert len(rows(tmp_path)) == len(WORKS)
    assert len(requests) <= len(WORKS) + refetched
