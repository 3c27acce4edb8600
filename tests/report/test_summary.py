"""What `make` prints at its end."""

import json
from pathlib import Path

import pytest

from stages import evaluate, prepare, submit
from stages.digits.base import dataset
from stages.digits.report import summary

METRICS = {"errors": 44, "evaluated_images": 16800, "labelled_rows": 16800}


def printed(raw: str = "data/sample", members: int = 4, labelled_rows: int = 16800, **others: object) -> str:
    lines = summary.lines(METRICS | {"labelled_rows": labelled_rows} | others, members, 28000, Path(raw))
    assert max(map(len, lines)) <= 80
    return "\n".join(lines)


def test_it_states_the_accuracy_with_its_interval_and_the_errors():
    assert "99.74 % (99.65 to 99.80): out of fold" in printed()
    assert "44 in 16,800 images" in printed()


@pytest.mark.parametrize(("labelled_rows", "said"), [(16800, False), (42000, True)])
def test_it_says_when_not_all_labelled_images_were_held_out(labelled_rows, said):
    assert ("only these of 42,000 were held out" in printed(labelled_rows=labelled_rows)) == said


@pytest.mark.parametrize(
    ("evaluation", "writers", "said"),
    [
        ("writer-independent", 1234, "1,234 writers, each held out whole from who predicts them"),
        ("writer-dependent", 1, "1 writer, whose other digits were trained on"),
    ],
)
def test_it_says_whether_the_hands_were_known_to_the_networks_that_predict_them(evaluation, writers, said):
    own = {"own_errors": 1035, "own_images": 99999, "own_writers": writers, "own_evaluation": evaluation}
    text = printed(**own)
    assert f"1,035 errors in 99,999 digits, {evaluation}:\n" in text
    assert said in text
    assert "print  " not in text
    assert "print       2 errors in 3,000 digits\n" in printed(**own, print_errors=2, print_images=3000)


def test_it_says_where_pictures_models_and_submission_are():
    text = printed()
    for place in (f"{evaluate.PLOTS}/*.png", f"{dataset.MODELS}/*.keras", f"{submit.SUBMISSION}: 28,000 digits"):
        assert place in text


@pytest.mark.parametrize(("members", "counted"), [(1, "1 network\n"), (100, "100 networks\n")])
def test_it_counts_the_networks(members, counted):
    assert counted in printed(members=members)


def test_after_the_sample_it_names_the_section_on_real_data():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert '"Kaggle\'s data" in README.md' in printed()
    assert "## Kaggle's data\n" in readme


def test_after_a_users_data_it_gives_the_command_that_submits():
    assert "kaggle competitions submit -c digit-recognizer -f data/submission.csv" in printed("data/digits.zip")


@pytest.mark.usefixtures("empty_project")
def test_it_reads_what_the_stages_wrote(capsys):
    for path, content in {
        prepare.METRICS: json.dumps({"labelled_rows": 16800}),
        evaluate.METRICS: json.dumps({"errors": 44, "evaluated_images": 16800}),
        submit.SUBMISSION: "ImageId,Label\n1,7\n2,1\n",
        dataset.model_path(0): "",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    summary.main()
    written = capsys.readouterr().out
    assert "44 in 16,800 images\n" in written
    assert "1 network\n" in written
    assert "submission.csv: 2 digits" in written
