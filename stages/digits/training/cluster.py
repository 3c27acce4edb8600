"""Train the members on Dask, on this machine or elsewhere; other code of the project runs on workers the same way."""

import logging
import resource
import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, NamedTuple

from stages.digits.base.dataset import Labelled
from stages.digits.base.errors import InputError
from stages.digits.training import member_cache
from stages.digits.training.recipe import EpochMetrics, Recipe, TrainedMember

try:
    import dask
    import distributed
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT
except ValueError as error:  # a file in ~/.config/dask, say, is broken
    raise InputError(str(error).partition("\n")[0]) from None

OPEN_FILES, OPEN_FILES_OF_A_WORKER = 128, 16  # twice what a run needed when measured
WORKER_MEMORY = 2 * 2**30  # bytes, more than a worker needs for a member
DASK_CONFIG = {  # Dask's own watch over every process, 50 times a second and more, takes an eighth of a core
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.large-graph-warning-threshold": "100MB",  # a page may have 16
}


class Job(NamedTuple):
    """A function of this project that workers call, and what all calls share, which a worker is sent once."""

    name: str  # unique among those of the cluster's users
    function: Callable  # of a module; takes the worker, `shared` and a call's arguments
    shared: Any
    code: tuple[str, ...]  # the folders of code that its results depend on
    advice: str  # if the scheduler is lost


def train_members(
    labelled: Labelled,
    recipe: Recipe,
    on_epoch_end: Callable[[EpochMetrics], None],
    log: Callable[[str], None],
    on_member_end: Callable[[int, list[EpochMetrics]], None] = lambda _member, _history: None,
) -> list[TrainedMember]:
    """All members, in order; those that an interrupted run finished are read from the cache.

    Runs on a local cluster of one-thread processes, or on the one at DASK_SCHEDULER_ADDRESS: the same members either
    way. `on_epoch_end` is called after each epoch of each member, in a thread of Dask's, `on_member_end` when a member
    is finished, perhaps before its last epochs are reported, and `log` with lines for a person.
    """
    keys = member_cache.keys(labelled, recipe)
    to_train = member_cache.unfinished(keys)
    if to_train:
        topic = f"epochs-{keys[to_train[0]]}"
        job = Job(
            name=f"labelled-{keys[to_train[0]]}",
            function=train_here,
            shared=tuple(labelled),
            code=member_cache.CODE,
            advice="finished members are kept: start it again, then run `dvc repro` again",
        )
        calls = [(member, recipe.model_dump(), topic) for member in to_train]
        with client(len(to_train), log) as connected:
            connected.subscribe_topic(topic, lambda event: on_epoch_end(EpochMetrics(*event[1])))
            for member, result in run(connected, job, calls):
                if result is None:
                    raise InputError("the worker of a member died repeatedly, perhaps out of memory")
                model, history = result
                new = TrainedMember(model, [EpochMetrics(*row) for row in history])
                member_cache.write(keys[member], new)
                on_member_end(member, new.history)
    finished = {key: trained for key in keys if (trained := member_cache.read(key))}
    if len(finished) < len(keys):
        raise InputError(
            f"{member_cache.FOLDER}: a finished member was removed or altered during training; run `dvc repro` again"
        )
    return list(finished.values())


@contextmanager
def client(most: int, log: Callable[[str], None]) -> Iterator[distributed.Client]:
    """A client of the cluster at DASK_SCHEDULER_ADDRESS, or of a new local one with at most that many workers."""
    for part in ("distributed", "distributed.client"):  # what stops a run is reported as one line of ours
        logging.getLogger(part).setLevel(logging.CRITICAL)
    address = dask.config.get("scheduler-address", None)
    if address:
        try:
            client = distributed.Client(address)
        except OSError as error:
            raise InputError(f"DASK_SCHEDULER_ADDRESS: no scheduler answers at {address}: {error}") from None
        with dask.config.set(DASK_CONFIG), client:
            log(f"{len(client.scheduler_info()['workers'])} workers at {address}, dashboard {client.dashboard_link}")
            yield client
        return
    workers = max(1, min(most, CPU_COUNT, MEMORY_LIMIT // WORKER_MEMORY))
    _allow_open_files(OPEN_FILES + OPEN_FILES_OF_A_WORKER * workers)
    with dask.config.set(DASK_CONFIG), _local_cluster(workers) as cluster, distributed.Client(cluster) as client:
        log(f"{workers} worker{'s' * (workers > 1)} on this machine, dashboard {client.dashboard_link}")
        yield client


def _allow_open_files(needed: int) -> None:
    """Raise the limit of open files to `needed`; InputError if it can't be: with too few, Dask waits forever."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= hard < needed:  # -1: no limit
        raise InputError(
            f"found a limit of {hard} open files, expected at least {needed}; raise it, or use fewer cores"
        )
    if 0 <= soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _local_cluster(workers: int) -> distributed.LocalCluster:
    """One-thread processes on this machine; InputError if they can't be started, for lack of a scratch folder say."""
    try:
        with _signals_deferred():
            return distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as error:  # Dask's wrapper of whatever failed
        reason = str(error).removesuffix(".")  # rarely the root cause, which only the worker knows
        raise InputError(
            f"Dask can't start workers on this machine: {reason}; are /dev/shm and the temporary directory writable, "
            "and not full?"
        ) from None


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Let a signal stop the run only at the end of this block: Dask can't close a cluster that is half started.

    Threads and processes started here inherit blocked SIGINT and SIGHUP, which a terminal sends to all processes of a
    command. Only the main thread reacts to these, and closes them.
    """
    stopped: list[int] = []
    handler = signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        resource_tracker.ensure_running()  # it unblocks SIGINT for the thread that starts it
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number in stopped[:1]:
            signal.raise_signal(number)


def run(
    client: distributed.Client, job: Job, calls: Iterable[tuple], ahead: int = 0
) -> Generator[tuple[int, Any], None, None]:
    """The number of each call, its first argument, and its result, as they finish: None if workers died of it.

    A call is taken when a worker is free, or `ahead` calls before that: Dask would queue more behind running ones while
    workers are idle. InputError if the scheduler is lost, or a worker has different code.
    """
    waiting, finished = iter(calls), distributed.as_completed()
    running: dict[distributed.Future, int] = {}
    task = _task(job, member_cache.code_digest(job.code))
    with _readable_errors(client.scheduler.address, job.advice):
        client.register_plugin(_data_plugin(job.shared), name=job.name)
        try:
            while True:
                most = max(1, sum(client.nthreads().values())) + ahead
                while len(running) < most and (call := next(waiting, None)):
                    future = client.submit(task, *call, key=f"{job.name}-{call[0]}")
                    running[future] = call[0]
                    finished.add(future)
                if not running:
                    break
                future = next(finished)
                try:
                    result = future.result()
                except distributed.KilledWorker:
                    result = None
                if isinstance(result, str):
                    raise InputError(result)
                yield running.pop(future), result
        except KeyboardInterrupt:  # sent to the workers as well: they are stopping
            raise
        except BaseException:
            client.unregister_worker_plugin(job.name)
            raise
        client.unregister_worker_plugin(job.name)


# What is sent to workers is defined inside functions: Dask then pickles it by value, so that a worker with different
# code, or with none of it, can still say so.


def _data_plugin(shared: object) -> distributed.WorkerPlugin:
    """Keeps it on each worker: sent once, also to a worker that joins later."""

    class Data(distributed.WorkerPlugin):
        pass

    plugin = Data()
    plugin.shared = shared
    return plugin


def _task(job: Job, expected: str) -> Callable:
    """The function that calls the job's on a worker; it returns a line instead if it can't."""
    name, module, function, code = job.name, job.function.__module__, job.function.__name__, job.code

    def call(*arguments: object) -> object:
        import importlib

        import distributed

        worker = distributed.get_worker()
        advice = "start it in a clone of this commit with its environment, as `python -m dask worker`"
        try:
            from stages.digits.training import member_cache

            actual = member_cache.code_digest(code)
            here = getattr(importlib.import_module(module), function) if actual == expected else None
        except Exception as error:  # of any kind: it is another's code
            return f"the worker at {worker.address} can't import this project's code ({error}): {advice}"
        if here is None:
            return f"the worker at {worker.address} has different code or library versions: {advice}"
        try:
            return here(worker, worker.plugins[name].shared, *arguments)
        except OSError as error:  # of its disk; on its way back Dask's own errors of the network look the same
            return f"the worker at {worker.address} failed: {error}"

    return call


def train_here(
    worker: distributed.Worker, arrays: tuple, member: int, recipe: dict, topic: str
) -> tuple[bytes, list[tuple]]:
    """Train a member on this worker; each epoch's metrics are logged as an event of `topic`."""
    # here, since only workers need TensorFlow, which takes seconds to import
    from stages.digits.training.member import fit

    trained = fit(Labelled(*arrays), member, Recipe(**recipe), lambda epoch: worker.log_event(topic, list(epoch)))
    return trained.model, [tuple(epoch) for epoch in trained.history]


@contextmanager
def _readable_errors(scheduler: str, advice: str) -> Iterator[None]:
    """Report errors of the cluster, and training that diverges, as one-line InputErrors."""
    try:
        yield
    except (distributed.CancelledError, OSError) as error:
        raise InputError(f"the Dask scheduler at {scheduler} was lost ({type(error).__name__}); {advice}") from None
    except FloatingPointError as error:
        raise InputError(f"training diverged: {error}; lower train.learning_rate in params.yaml") from None
