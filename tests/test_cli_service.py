"""The commands that speak to a running service, run as the programs they are."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest
from aiohttp import ClientSession, web
from PIL import Image
from tests.ports import free_port

from taxiway.sandbox import Sandbox, SandboxSettings
from taxiway.server.running import listening
from taxiway.settings import Deployment, Secret, Settings

pytestmark = pytest.mark.looptime(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has run."""

    code: int
    out: str
    err: str


async def run(*arguments: str, folder: Path, environ: dict[str, str] | None = None) -> Ended:
    """Run `python -m taxiway …` in a folder, away from the environment of whoever runs the tests."""
    async with started(*arguments, folder=folder, environ=environ) as process:
        return await end_of(process)


@asynccontextmanager
async def started(
    *arguments: str, folder: Path, environ: dict[str, str] | None = None
) -> AsyncIterator[Process]:
    """Start `python -m taxiway …`; it is gone when the context ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "taxiway",
        *arguments,
        cwd=folder,
        env=surroundings(environ),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def end_of(process: Process) -> Ended:
    """Wait for a program to end, and return how it did."""
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return Ended(code=process.returncode or 0, out=out.decode(), err=err.decode())


def surroundings(environ: dict[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a program under test: what a process needs, and nothing of ours."""
    kept = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return {**kept, "COLUMNS": "100", **(environ or {})}


@pytest.fixture
def sandbox_settings() -> SandboxSettings:
    """A Runway in a hurry."""
    return SandboxSettings(queue_s=0.05, duration_s=0.3, pictures="plain")


@pytest.fixture
def settings(sandbox: Sandbox) -> Settings:
    """A service that looks at its tasks often, since the clock here is the real one."""
    deployment = Deployment(
        id="gen4_image-1",
        model_name="gen4_image",
        provider="runwayml",
        model="gen4_image",
        api_key=Secret("key_of_the_tests"),
        api_base=sandbox.url,
    )
    return Settings(database_url="memory://", poll_interval_s=0.1, deployments=(deployment,))


@pytest.fixture
async def service(app: web.Application) -> AsyncIterator[dict[str, str]]:
    """The variable that leads the commands to a running service."""
    async with listening(app, host="127.0.0.1", port=0) as url:
        yield {"TAXIWAY_URL": url}


async def test_generate_saves_what_was_asked_for(
    service: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Every image is saved under a name that tells what it is; the price is what was charged."""
    ended = await run(
        *("generate", "A red fox, in the snow!", "--n", "2", "--size", "1280x720"),
        *("--out", "pictures"),
        folder=tmp_path,
        environ=service,
    )
    files = sorted((tmp_path / "pictures").iterdir())
    names = [re.sub(r"[0-9a-f]{6}", "ID", path.name) for path in files]
    sizes = []
    for path in files:
        with Image.open(path) as image:
            sizes.append((image.format, image.size))

    assert 0 == ended.code, ended.err
    assert ["a-red-fox-in-the-snow-ID-1.png", "a-red-fox-in-the-snow-ID-2.png"] == names
    assert [("PNG", (1280, 720))] * 2 == sizes
    assert re.match(r"✓ 2 images in [0-9.]+ s for \$0\.10 \(10 credits\)\n", ended.out)
    assert all(f"pictures/{path.name}" in ended.out for path in files)
    assert {"A red fox, in the snow!": 2} == sandbox.creates_by_prompt


async def test_progress_is_told_on_stderr(service: dict[str, str], tmp_path: Path) -> None:
    """Where nothing can be redrawn, every phase is a line; results alone go to stdout."""
    ended = await run("generate", "a fox [[slow:1]]", folder=tmp_path, environ=service)
    stages = [line.split()[2] for line in ended.err.splitlines()]

    assert 0 == ended.code, ended.err
    assert ["queued", "running", "completed"] == [
        stage for stage in dict.fromkeys(stages) if stage in ("queued", "running", "completed")
    ]


async def test_generate_tells_programs_the_whole_job(
    service: dict[str, str], tmp_path: Path
) -> None:
    """`--json` prints the final job, with its files, and nothing else."""
    ended = await run("generate", "a fox", "--json", folder=tmp_path, environ=service)
    job = orjson.loads(ended.out)

    assert ("completed", {"usd": 0.08, "credits": 8, "final": True}) == (
        job["status"],
        job["cost"],
    )
    assert [f"a-fox-{job['id'][-6:]}.png"] == job["files"] == os.listdir(tmp_path)


async def test_a_failure_is_a_sentence_and_its_price(
    service: dict[str, str], tmp_path: Path
) -> None:
    """A job that fails ends the command with 1, why it failed, and what it cost."""
    ended = await run(
        "generate", "a fox [[fail:SAFETY.INPUT.TEXT]]", folder=tmp_path, environ=service
    )
    last = re.sub(r"job_\w+", "ID", ended.err.splitlines()[-1])

    assert (1, "", []) == (ended.code, ended.out, os.listdir(tmp_path))
    assert (
        "Error: The request was refused by the provider's moderation; ID cost $0.08 (8 credits)."
        == last
    )


async def test_a_refused_request_is_the_services_own_sentence(
    service: dict[str, str], tmp_path: Path
) -> None:
    """What the service does not accept is said in its words, and buys nothing."""
    ended = await run("generate", "a fox", "--model", "gen4_imag", folder=tmp_path, environ=service)

    assert (1, "") == (ended.code, ended.out)
    assert ended.err.startswith("Error: The model 'gen4_imag' does not exist. Did you mean 'gen4_")


async def test_nothing_is_bought_that_has_no_place_to_go(
    service: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """The folder is looked at before the image is asked for."""
    (tmp_path / "taken").write_text("a file")
    ended = await run("generate", "a fox", "--out", "taken", folder=tmp_path, environ=service)

    assert (
        Ended(
            code=1,
            out="",
            err="Error: taken is not a folder that images could go to: File exists.\n",
        )
        == ended
    )
    assert {} == sandbox.creates_by_prompt


async def test_a_reference_may_be_a_file(
    service: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A file given as a reference travels in the request, under its tag."""
    Image.new("RGB", (300, 300), "red").save(tmp_path / "tom.png")
    ended = await run(
        *("generate", "@cat on the moon", "--reference", "cat=tom.png", "--json"),
        folder=tmp_path,
        environ=service,
    )
    (reference,) = next(each.body for each in sandbox.requests if each.body)["referenceImages"]

    assert 0 == ended.code, ended.err
    assert ("cat", "data:image/png;base64,") == (reference["tag"], reference["uri"][:22])


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that Ctrl-C reaches: what a shell runs in the background ignores it, with all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
async def test_ctrl_c_leaves_the_job_alone(
    service: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """Ctrl-C ends the watching, says how to go on, and 130; the job goes on and is paid for once."""
    async with started("generate", "a fox [[slow:3]]", folder=tmp_path, environ=service) as process:
        assert process.stderr is not None
        assert await process.stderr.readline()  # the job's first stage: it is watched
        process.send_signal(signal.SIGINT)
        ended = await end_of(process)
    (job_id,) = set(re.findall(r"job_\w+", ended.err))
    watched = await run("watch", job_id, folder=tmp_path, environ=service)

    assert 130 == ended.code
    assert (
        f"The job goes on: `taxiway watch {job_id}` shows it, `taxiway cancel {job_id}` stops it."
        == ended.err.splitlines()[-1]
    )
    assert re.match(r"✓ 1 image in [0-9.]+ s for \$0\.08 \(8 credits\)\n", watched.out)
    assert [1] == list(sandbox.creates_by_prompt.values())


async def test_watch_tells_programs_every_state(service: dict[str, str], tmp_path: Path) -> None:
    """`watch --json` prints a job a line, each later than the one before, to the final one."""
    async with ClientSession(service["TAXIWAY_URL"]) as session:
        job = await asked(session, "a fox [[slow:1]]")
    ended = await run("watch", job, "--json", folder=tmp_path, environ=service)
    states = [orjson.loads(line) for line in ended.out.splitlines()]
    revisions = [state["revision"] for state in states]

    assert (0, "") == (ended.code, ended.err)
    assert {job} == {state["id"] for state in states}
    assert sorted(revisions) == revisions
    assert "completed" == states[-1]["status"]


async def test_cancel_stops_a_job(
    service: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    """A job that is cancelled stops at Runway too; a second time it is said that it had ended."""
    async with ClientSession(service["TAXIWAY_URL"]) as session:
        job = await asked(session, "a fox [[slow:60]]")
    await until(lambda: bool(sandbox.tasks))
    first = await run("cancel", job, folder=tmp_path, environ=service)
    second = await run("cancel", job, folder=tmp_path, environ=service)
    watched = await run("watch", job, folder=tmp_path, environ=service)
    (task,) = sandbox.tasks.values()

    assert (0, 0, 1) == (first.code, second.code, watched.code)
    assert first.out.startswith(f"{job} is cancelled, cost $0.")
    assert second.out.startswith(f"{job} had ended before: it is cancelled, cost $0.")
    assert watched.err.splitlines()[-1].startswith("Error: The job was cancelled; ")
    assert task.status_when_deleted is not None


async def test_jobs_are_listed(service: dict[str, str], tmp_path: Path) -> None:
    """The list shows whole ids, newest first; a filter and `--json` do what they say."""
    none = await run("jobs", folder=tmp_path, environ=service)
    async with ClientSession(service["TAXIWAY_URL"]) as session:
        good = await asked(session, "a fox", wait=True)
        bad = await asked(session, "a fox [[fail:SAFETY.INPUT.TEXT]]", wait=True)
    everything = await run("jobs", folder=tmp_path, environ=service)
    failed = await run("jobs", "--status", "failed", "--json", folder=tmp_path, environ=service)
    unlike = await run("jobs", "--status", "queued", folder=tmp_path, environ=service)
    header, *lines = (line.split() for line in everything.out.splitlines())

    assert 'No job yet: `taxiway generate "a red fox in the snow"` asks for an image.\n' == none.out
    assert ["job", "status", "model", "size", "cost", "age", "prompt"] == header
    assert [
        [bad, "failed", "gen4_image", "1920x1080"],
        [good, "completed", "gen4_image", "1920x1080"],
    ] == [line[:4] for line in lines]
    assert "$0.08" == lines[1][4]
    assert [bad] == [job["id"] for job in orjson.loads(failed.out)]
    assert "No job is like that.\n" == unlike.out


async def test_a_long_prompt_leaves_the_other_columns_their_room(
    service: dict[str, str], tmp_path: Path
) -> None:
    """A prompt of a thousand characters is cut where the line ends; status and cost are still there."""
    async with ClientSession(service["TAXIWAY_URL"]) as session:
        job = await asked(session, "fox " * 250, wait=True)
    listed = await run("jobs", folder=tmp_path, environ=service)
    line = listed.out.splitlines()[1].split()

    assert [job, "completed", "gen4_image", "1920x1080", "$0.08"] == line[:5]
    assert line[-1].endswith("…")


class TestWithAKey:
    """A service that asks for a key."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """The same with a master key."""
        return replace(settings, master_key=Secret("sk-of-the-house"))

    async def test_the_key_is_given_by_option_or_variable(
        self, service: dict[str, str], tmp_path: Path
    ) -> None:
        """Without the key a sentence says how to give it; with it, everything works."""
        without = await run("jobs", folder=tmp_path, environ=service)
        by_option = await run("jobs", "--key", "sk-of-the-house", folder=tmp_path, environ=service)
        key = {"TAXIWAY_KEY": "sk-of-the-house"}
        by_variable = await run("generate", "fox", folder=tmp_path, environ=service | key)

        assert (1, 0, 0) == (without.code, by_option.code, by_variable.code)
        assert without.err.endswith("; --key or TAXIWAY_KEY gives the key.\n")


async def test_a_restart_of_the_service_is_not_noticed(sandbox: Sandbox, tmp_path: Path) -> None:
    """A viewer outlives the service it watches; the job is taken up, finished, and paid for once."""
    sandbox.change(duration_s=2.0)
    port = free_port()
    environ = {
        "RUNWAYML_API_SECRET": "any",
        "RUNWAYML_API_BASE": sandbox.url,
        "TAXIWAY_URL": f"http://127.0.0.1:{port}",
        "TAXIWAY_POLL_INTERVAL_S": "0.2",
    }
    async with started("serve", "--port", str(port), folder=tmp_path, environ=environ) as first:
        await answering(environ["TAXIWAY_URL"])
        async with started("generate", "a fox", folder=tmp_path, environ=environ) as viewer:
            assert viewer.stderr is not None
            assert await viewer.stderr.readline()  # the job's first stage: it is watched
            await until(lambda: any(task.polls for task in sandbox.tasks.values()))
            first.kill()
            await first.communicate()
            async with started(
                "serve", "--port", str(port), folder=tmp_path, environ=environ
            ) as second:
                ended = await end_of(viewer)
                second.send_signal(signal.SIGTERM)
                stopped = await end_of(second)

    assert 0 == ended.code, ended.err
    assert ended.out.startswith("✓ 1 image in ")
    assert {"a fox": 1} == sandbox.creates_by_prompt
    assert (0, "") == (stopped.code, stopped.err)


async def test_a_taken_port_is_a_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    """A service or a sandbox that cannot have its port says so in one line."""
    port = sandbox.url.rpartition(":")[2]
    environ = {"RUNWAYML_API_SECRET": "any"}
    service = await run("serve", "--port", port, folder=tmp_path, environ=environ)
    other = await run("sandbox", "--port", port, folder=tmp_path)
    sentence = f"Error: 127.0.0.1:{port} is taken: choose another port with --port.\n"

    assert [(1, sentence), (1, sentence)] == [(service.code, service.err), (other.code, other.err)]


@pytest.mark.parametrize("option", ["--port", "--metrics-port"])
async def test_a_port_is_taken_before_the_store_is_opened(
    sandbox: Sandbox, tmp_path: Path, option: str
) -> None:
    """Started twice by mistake, the second service ends without having touched, or made, a database."""
    ports = {"--port": "0", option: sandbox.url.rpartition(":")[2]}
    ended = await run(
        "serve",
        *(word for pair in ports.items() for word in pair),
        folder=tmp_path,
        environ={
            "RUNWAYML_API_SECRET": "any",
            "TAXIWAY_DATABASE_URL": f"sqlite:///{tmp_path}/jobs.db",
        },
    )

    assert (1, True) == (ended.code, ended.err.endswith(f"choose another port with {option}.\n"))
    assert [] == databases(tmp_path)


def databases(folder: Path) -> list[Path]:
    """Return the files of a store in a folder."""
    return [*folder.glob("jobs.db*")]


async def asked(session: ClientSession, prompt: str, *, wait: bool = False) -> str:
    """Ask the service for an image, and wait for it or not; return the job's id."""
    body = {"model": "gen4_image", "prompt": prompt}
    headers = {} if wait else {"Prefer": "respond-async"}
    async with session.post("/v1/images/generations", json=body, headers=headers) as response:
        return response.headers["x-taxiway-job-id"]


async def until(done: Callable[[], bool]) -> None:
    """Return when something has become true."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - the sandbox counts, and tells nobody
            await asyncio.sleep(0.02)


async def answering(url: str) -> None:
    """Return when something listens at a URL."""
    host, _, port = url.removeprefix("http://").partition(":")
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
