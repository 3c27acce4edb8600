"""What the workflow of pull requests shows of a branch; its own command is run, on a clone with two branches."""

import re
import shutil
from pathlib import Path
from typing import NamedTuple

import commands
import pytest
import yaml
from commands import ROOT, run

pytestmark = pytest.mark.slow
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/pull_request.yml").read_text(encoding="utf-8"))
STEPS = WORKFLOW["jobs"]["difference"]["steps"]
URL = "https://example.org/me/digits/raw"


class Branch(NamedTuple):
    folder: Path
    before: str  # the commit where it left main
    after: str  # its last commit


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text), encoding="utf-8")


@pytest.fixture(scope="module")
def branch(tmp_path_factory) -> Branch:
    """A clone on a branch that changes params, metrics and two pictures, and adds one; main has gone on since."""
    origin = commands.clone(tmp_path_factory.mktemp("origin"))
    folder = tmp_path_factory.mktemp("work") / "digits"
    run(origin.parent, "git", "clone", "--quiet", str(origin), str(folder))
    commands.identify(folder)
    edit(origin / "metrics/evaluate.json", r'"macro_f1": .*,', '"macro_f1": 0.5,')
    commands.commit(origin, "main goes on")
    run(folder, "git", "fetch", "--quiet")
    run(folder, "git", "switch", "--quiet", "--create", "less-dropout")
    edit(folder / "params.yaml", "dropout_rate: 0.4", "dropout_rate: 0.25")
    edit(folder / "metrics/evaluate.json", r'"errors": \d+', '"errors": 77')
    edit(folder / "plots/history.csv", r"(?m)^0,1,[^,]+", "0,1,7.25")
    for name in ("history", "new"):
        (folder / f"plots/{name}.png").write_bytes((folder / "plots/samples.png").read_bytes())
    after = commands.commit(folder, "less dropout")
    return Branch(folder, run(folder, "git", "rev-parse", "HEAD~1").strip(), after)


def summarize(folder: Path, summary: Path, base: str) -> str:
    """What the workflow's command writes for a pull request into branch `base`."""
    (command,) = (step["run"] for step in STEPS if "GITHUB_STEP_SUMMARY" in step.get("run", ""))
    service = {
        "GITHUB_BASE_REF": base,
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_SERVER_URL": "https://example.org",
        "GITHUB_REPOSITORY": "me/digits",
        "GITHUB_RUN_ID": "7",
    }
    run(folder, "bash", "-e", "-c", command, **service)
    return summary.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def summary(branch, tmp_path_factory) -> str:
    return summarize(branch.folder, tmp_path_factory.mktemp("summary") / "summary.md", "main")


def rows(summary: str, title: str) -> list[list[str]]:
    """The cells of the table under a title, without its head."""
    section = summary.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"(?m)^\|.*", section)[2:]]


def test_the_metrics_and_parameters_are_those_that_the_branch_changes_and_not_those_of_main(summary):
    (metric,) = rows(summary, "Metrics")
    assert metric[:2] == ["metrics/evaluate.json", "errors"]
    assert metric[3] == "77"
    assert rows(summary, "Parameters") == [["params.yaml", "train.dropout_rate", "0.4", "0.25"]]


def test_the_pictures_that_differ_are_shown_before_and_after_by_their_commits(summary, branch):
    history, new = rows(summary, "Plots")
    path = "plots/history.png"
    assert history == [f"![{path}]({URL}/{commit}/{path})" for commit in (branch.before, branch.after)]
    assert new == ["", f"![plots/new.png]({URL}/{branch.after}/plots/new.png)"]


def test_the_page_of_plots_compares_both_commits(summary, branch):
    assert "https://example.org/me/digits/actions/runs/7#artifacts" in summary
    (upload,) = (step["with"] for step in STEPS if step.get("uses", "").startswith("actions/upload-artifact"))
    page = (branch.folder / upload["path"] / "index.html").read_text(encoding="utf-8")
    assert branch.before[:7] in page
    assert branch.after[:7] in page
    assert '"7.25"' in page, "the first epoch's loss on the branch"


def test_a_branch_that_changes_none_of_them_says_so(branch, tmp_path):
    folder = shutil.copytree(branch.folder, tmp_path / "digits", symlinks=True)
    run(folder, "git", "update-ref", "refs/remotes/origin/same", branch.after)
    summary = summarize(folder, tmp_path / "summary.md", "same")
    assert summary.count("No difference.") == 2
    assert "No picture differs." in summary


def test_the_workflow_may_only_read():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert set(WORKFLOW[True]) == {"pull_request"}, "YAML 1.1 reads `on` as true; pull_request_target could write"
    assert "permissions" not in WORKFLOW["jobs"]["difference"]
