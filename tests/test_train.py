"""The progress line."""

from stages import train
from stages.digits.recipe import EpochMetrics


def test_the_progress_line_says_where_the_training_is_and_how_long_it_takes(monkeypatch, capsys):
    """Two members train in parallel, 60 seconds an epoch; a third was finished earlier."""
    clock = iter([0, 60, 60])
    monkeypatch.setattr(train.time, "monotonic", lambda: next(clock))
    progress = train.Progress(members=3, unfinished=2, epochs=3)
    for member, epoch, accuracy in ((0, 1, 0.875), (1, 1, 0.5), (0, 2, 0.75), (1, 2, 0.9)):
        progress(EpochMetrics(member, epoch, 0.5, 0.25, 0.75, accuracy))
    first, second, third, fourth = capsys.readouterr().out.splitlines()
    assert first.startswith(
        "  1/6  member 1/3  epoch  1/3  loss 0.5000  accuracy 0.7500  validation loss 0.2500  accuracy 0.8750"
    )
    assert first.endswith("estimating the time left")
    assert second.endswith("estimating the time left")
    assert "best 0.8750" in second
    assert third.endswith("at most 3.0 min left")
    assert "best 0.9000" in fourth
    assert fourth.endswith("at most 1.0 min left")
