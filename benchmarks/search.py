"""Search for better training parameters with Optuna, on the prepared images, and say how sure the result is.

make search, or python -m benchmarks.search [--trials 30] [--seeds 1 2 3] [--at-once 2]

The search assigns ten folds of its own. A trial trains single members, as the pipeline does, for half of them.
WilcoxonPruner stops a trial that is worse than the best one on the same folds. Then the best trial and params.yaml are
compared on the remaining folds, which chose nothing, with several seeds. Trials are stored in data/search/study.db: the
same command continues there, also after kill -9. Run one search at a time.
"""

import argparse
import sys
import warnings
from pathlib import Path

try:  # before what takes seconds
    import optuna
except ModuleNotFoundError:
    sys.exit("Optuna is missing: run `make search`, or uv pip install --require-hashes -r requirements-search.txt")
import numpy as np
from dask.system import CPU_COUNT
from optuna.trial import BaseTrial, FrozenTrial, TrialState
from optuna.visualization import matplotlib as plots

from benchmarks.shared import paired
from stages.digits.base import dataset, errors, params, splits
from stages.digits.base.dataset import Labelled
from stages.digits.base.errors import InputError
from stages.digits.training import member_cache
from stages.digits.training.recipe import Recipe

FOLDER = Path("data/search")
SEARCH_FOLDS, CONFIRM_FOLDS = range(5), range(5, 10)  # five folds of five better by chance: 1 in 32
PRUNE_P, SURE_P = 0.2, 0.05  # three folds of three worse by chance: 1 in 8
SPACE: dict[str, dict] = {  # of what changes accuracy but not the time it takes
    "learning_rate": {"low": 0.001, "high": 0.02, "log": True},
    "weight_decay": {"low": 0.005, "high": 0.5, "log": True},
    "dropout_rate": {"low": 0.0, "high": 0.7},
    "rotation": {"low": 0.0, "high": 20.0},
    "zoom": {"low": 0.0, "high": 0.25},
    "shift": {"low": 0.0, "high": 4.0},
    "shear": {"low": 0.0, "high": 0.4},
}


def open_study(folder: Path, name: str, recipe: Recipe) -> optuna.Study:
    """The study of that name in `folder`, new or continued; its first trial is `recipe`."""
    folder.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=PRUNE_P)
    storage = f"sqlite:///{folder}/study.db"
    study = optuna.create_study(storage=storage, study_name=name, load_if_exists=True, pruner=pruner)
    study.sampler = optuna.samplers.TPESampler(seed=recipe.seed + len(study.trials))  # continued: other draws
    study.enqueue_trial({name: getattr(recipe, name) for name in SPACE}, skip_if_exists=True)
    requeue_interrupted(study)
    return study


def requeue_interrupted(study: optuna.Study) -> None:
    """Queue the parameters of each trial that was cut short again; its finished members are still in the cache."""
    requeued = {trial.user_attrs.get("repeats") for trial in study.trials}
    for trial in study.get_trials(states=(TrialState.RUNNING, TrialState.FAIL)):
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.number not in requeued:
            study.enqueue_trial(trial.params, user_attrs={"repeats": trial.number})


def suggest(trial: BaseTrial, recipe: Recipe) -> Recipe:
    """`recipe` with the trial's parameters, rounded to what a person would write."""
    values = {name: float(f"{trial.suggest_float(name, **bounds):.3g}") for name, bounds in SPACE.items()}
    return recipe.model_copy(update=values)


def search(study: optuna.Study, labelled: Labelled, recipe: Recipe, trials: int, at_once: int) -> None:
    """Run trials until the study has `trials` that are finished or pruned."""

    def objective(trial: optuna.Trial) -> float:
        losses = []
        try:
            for scores in paired.score_folds(labelled, suggest(trial, recipe), SEARCH_FOLDS, at_once):
                for score in scores:
                    trial.report(score.log_loss, score.fold)
                    losses.append(score.log_loss)
                if len(losses) < len(SEARCH_FOLDS) and trial.should_prune():
                    raise optuna.TrialPruned
        except InputError as error:
            if not isinstance(error.__context__, FloatingPointError):  # that is: training diverged
                raise
            raise optuna.TrialPruned from None
        return float(np.mean(losses))

    def on_trial_end(study: optuna.Study, trial: FrozenTrial) -> None:
        paired.forget(labelled, suggest(trial, recipe), SEARCH_FOLDS)
        losses = list(trial.intermediate_values.values())
        loss = f"log loss {np.mean(losses):.5f} on {len(losses)} of {len(SEARCH_FOLDS)} folds" if losses else "diverged"
        print(f"{done(study):3}/{trials}  trial {trial.number} {trial.state.name.lower()}  {loss}", flush=True)

    study.optimize(objective, n_trials=max(0, trials - done(study)), callbacks=[on_trial_end])


def done(study: optuna.Study) -> int:
    """How many trials are finished or pruned."""
    return len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))


def confirm(
    labelled: Labelled, baseline: Recipe, candidate: Recipe, seeds: list[int], at_once: int
) -> paired.Comparison:
    """Compare the two on the folds that the search didn't use, with each of the seeds."""
    runs = [[recipe.model_copy(update={"seed": seed}) for seed in seeds] for recipe in (baseline, candidate)]
    scores = [
        [
            score
            for recipe in recipes
            for batch in paired.score_folds(labelled, recipe, CONFIRM_FOLDS, at_once)
            for score in batch
        ]
        for recipes in runs
    ]
    for recipes in runs:
        for recipe in recipes:
            paired.forget(labelled, recipe, CONFIRM_FOLDS)
    return paired.compare(*scores)


def conclusion(result: paired.Comparison, baseline: Recipe, candidate: Recipe) -> str:
    """Which parameters to keep, and how sure that is."""
    changed = [name for name in SPACE if getattr(baseline, name) != getattr(candidate, name)]
    changes = " ".join(f"-S train.{name}={getattr(candidate, name):g}" for name in changed)
    sure = result.p_value < SURE_P
    return "\n".join(
        [
            f"On {result.folds} other folds, {len(result.by_seed)} seeds each, the same images for both:",
            f"  log loss  params.yaml {result.baseline:.5f}  best trial {result.candidate:.5f}",
            f"  errors    params.yaml {result.baseline_errors}  best trial {result.candidate_errors}",
            f"  difference in log loss {result.difference:+.5f} ± {result.standard_error:.5f} over the folds; "
            f"better in {result.better_folds} of {result.folds} folds; "
            f"for each seed {' '.join(f'{difference:+.5f}' for difference in result.by_seed)}",
            f"Keep {'the best trial' if sure else 'params.yaml'}: the probability of "
            f"such a difference by chance is {result.p_value:.2f}, {'under' if sure else 'not under'} {SURE_P}.",
            f"The best trial is: dvc exp run {changes}",
        ]
    )


def draw(study: optuna.Study, folder: Path) -> None:
    """Optuna's own plots of the study, as PNG."""
    figures = {
        "history": plots.plot_optimization_history,
        "pruning": plots.plot_intermediate_values,
        "slices": plots.plot_slice,
    }
    if len(study.get_trials(states=(TrialState.COMPLETE,))) > 1:
        figures["importances"] = plots.plot_param_importances
    with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
        for name, plot in figures.items():
            axes = np.ravel(plot(study))[0]
            axes.figure.savefig(folder / f"{name}.png", dpi=120, bbox_inches="tight")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--trials", type=int, default=30, help="in all, with those of earlier runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the training, for the comparison")
    parser.add_argument("--at-once", type=int, default=CPU_COUNT, help="members: as many as the cluster has threads")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    recipe = params.section("train", Recipe)
    labelled = dataset.load_labelled(dataset.LABELLED)
    folds = splits.assign_folds(labelled.labels, len(SEARCH_FOLDS) + len(CONFIRM_FOLDS), recipe.seed)
    labelled = labelled._replace(folds=folds)  # the pipeline's folds are too few for a test over folds

    key = member_cache.keys(labelled, recipe)[0]  # of data, parameters, code and versions: else trials don't compare
    study = open_study(FOLDER, key[:12], recipe)
    search(study, labelled, recipe, arguments.trials, arguments.at_once)
    finished, pruned = (len(study.get_trials(states=(state,))) for state in (TrialState.COMPLETE, TrialState.PRUNED))
    print(f"{finished} trials finished, {pruned} pruned; the best is trial {study.best_trial.number}")
    draw(study, FOLDER)
    print(f"figures: {FOLDER}/*.png; trials: {FOLDER}/study.db")
    best = suggest(study.best_trial, recipe)
    if best == recipe:
        print("Keep params.yaml: no trial was better.")
    else:
        print(conclusion(confirm(labelled, recipe, best, arguments.seeds, arguments.at_once), recipe, best))


if __name__ == "__main__":
    errors.run(main, "finished trials and members are kept; run the same command again to continue")
