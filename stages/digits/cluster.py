"""Run the members on Dask, here or elsewhere; keep what is finished."""

import hashlib
import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import dask
import distributed
from dask.system import CPU_COUNT
from distributed.system import MEMORY_LIMIT

from stages.digits.dataset import Labelled
from stages.digits.errors import InputError
from stages.digits.recipe import Epoch, Member, Recipe

KEPT = Path("data/members")  # not an output of DVC's, which deletes those before it runs a stage
CODE = ("augmentation", "backend", "dataset", "member", "network", "recipe", "slant")  # a fitted member depends on it
MEMBER_BYTES = 2 * 2**30  # of memory, above what a worker needs for a member
QUIET = {  # Dask's own watch over every process, 50 times a second and more, takes an eighth of a core
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
}


def fitted(
    labelled: Labelled, recipe: Recipe, report: Callable[[Epoch], None], note: Callable[[str], None]
) -> list[Member]:
    """All members, in order; the finished ones of a stopped run are taken as they are.

    Runs on a local cluster of one-thread processes, or on the one at DASK_SCHEDULER_ADDRESS: the same
    members either way. `report` hears of each epoch, `note` of what a person may want to know.
    """
    names = member_names(labelled, recipe)
    to_fit = missing(labelled, recipe)
    KEPT.mkdir(parents=True, exist_ok=True)
    if to_fit:
        with _client(len(to_fit), note) as client:
            for number, finished in _run(client, labelled, to_fit, names, recipe, report):
                _write_whole(KEPT / names[number], pickle.dumps(finished))
    return [pickle.loads((KEPT / name).read_bytes()) for name in names]


def missing(labelled: Labelled, recipe: Recipe) -> list[int]:
    """The numbers of the members that no stopped run has finished."""
    names = member_names(labelled, recipe)
    return [number for number, name in enumerate(names) if not (KEPT / name).exists()]


def member_names(labelled: Labelled, recipe: Recipe) -> list[str]:
    """What each member depends on, as a file name: data, recipe, code and libraries; a stale one has another name."""
    digest = hashlib.sha256(recipe.model_dump_json(exclude={"members"}).encode())
    for array in labelled:
        digest.update(array.data.cast("B"))  # no copy: the images may be most of the memory
    for module in CODE:
        digest.update(Path(__file__).with_name(f"{module}.py").read_bytes())
    for library in ("keras", "numpy", "scikit-learn", "tensorflow"):
        digest.update(version(library).encode())
    common = digest.hexdigest()
    return [f"{common}-{number:02d}" for number in range(recipe.members)]


@contextmanager
def _client(most: int, note: Callable[[str], None]) -> Iterator[distributed.Client]:
    """A client of the cluster at DASK_SCHEDULER_ADDRESS, else of a new local one with at most so many workers."""
    address = dask.config.get("scheduler-address", None)
    if address:
        try:
            client = distributed.Client(address)
        except OSError as error:
            raise InputError(f"DASK_SCHEDULER_ADDRESS: no scheduler answers at {address}: {error}") from None
        with client:
            note(f"{len(client.scheduler_info()['workers'])} workers at {address}, dashboard {client.dashboard_link}")
            yield client
        return
    workers = max(1, min(most, CPU_COUNT, MEMORY_LIMIT // MEMBER_BYTES))
    # A worker that holds TensorFlow takes longer to end than Dask's patience; that is nothing to warn of.
    logging.getLogger("distributed.nanny").setLevel(logging.ERROR)
    with (
        dask.config.set(QUIET),
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=None,
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        note(f"{workers} worker{'s' * (workers > 1)} on this machine, dashboard {client.dashboard_link}")
        yield client


def _run(
    client: distributed.Client,
    labelled: Labelled,
    to_fit: list[int],
    names: list[str],
    recipe: Recipe,
    report: Callable[[Epoch], None],
) -> Iterator[tuple[int, Member]]:
    topic = f"epochs-{names[to_fit[0]]}"
    arrays = f"labelled-{names[to_fit[0]]}"
    client.subscribe_topic(topic, lambda event: report(Epoch(*event[1])))
    waiting, running, ended = list(to_fit), {}, distributed.as_completed()

    def start_on_free_workers() -> None:
        """One member a thread and no more: Dask would queue the rest where they started, beside idle workers."""
        while waiting and len(running) < max(1, sum(client.nthreads().values())):
            number = waiting.pop(0)
            future = client.submit(_fit, arrays, number, recipe, topic, key=names[number])
            running[future] = number
            ended.add(future)

    with _failures_told(client.scheduler.address):
        client.register_plugin(_Holder(labelled), name=arrays)
        try:
            start_on_free_workers()
            for future in ended:
                yield running.pop(future), future.result()
                start_on_free_workers()
        finally:
            client.unregister_worker_plugin(arrays)


class _Holder(distributed.WorkerPlugin):
    """Keeps the arrays at a worker: sent once to each, also to one that comes later."""

    def __init__(self, labelled: Labelled):
        self.labelled = labelled


@contextmanager
def _failures_told(scheduler: str) -> Iterator[None]:
    """What can go wrong on a cluster, in one line."""
    try:
        yield
    except (distributed.CancelledError, OSError) as error:
        raise InputError(
            f"the Dask scheduler at {scheduler} was lost ({type(error).__name__}); "
            "finished members are kept: start it again, then run `dvc repro` again"
        ) from None
    except distributed.KilledWorker as error:
        raise InputError(f"a member's worker died again and again, perhaps for want of memory: {error}") from None
    except FloatingPointError as error:
        raise InputError(f"training diverged: {error}; lower train.learning_rate in params.yaml") from None
    except Exception as error:  # Dask passes some on as text, others as what they were
        if "deserialization" not in str(error) and "No module named 'stages" not in str(error):
            raise
        raise InputError(
            f"the scheduler at {scheduler} or a worker of it can't import this project's code: "
            "start them in a clone of this commit, as `python -m dask scheduler` and `python -m dask worker`"
        ) from None


def _fit(arrays: str, number: int, recipe: Recipe, topic: str) -> Member:
    from stages.digits import member  # here, since only workers need TensorFlow, which takes seconds to import

    worker = distributed.get_worker()
    labelled = worker.plugins[arrays].labelled
    return member.fit(labelled, number, recipe, lambda epoch: worker.log_event(topic, list(epoch)))


def _write_whole(path: Path, content: bytes) -> None:
    """Write all of it or nothing, also when the process is killed."""
    part = path.with_suffix(".part")
    part.write_bytes(content)
    part.replace(path)
