"""The cache of finished members: what it is keyed by, and that nothing damaged is taken from it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from stages.digits.base import dataset
from stages.digits.training import member_cache
from stages.digits.training.recipe import EpochMetrics, TrainedMember


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trained(member: int) -> TrainedMember:
    """What a member could be: 2,000 bytes and a history of two epochs."""
    return TrainedMember(
        bytes([member]) * 2000, [EpochMetrics(member, epoch, 0.5, 0.25, 0.75, 0.875, 0.008) for epoch in (1, 2)]
    )


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "swapped", "history altered", "no history"])
def test_a_damaged_cached_member_is_trained_again(labelled, recipe, damage):
    keys = member_cache.keys(labelled, recipe)
    for member, key in enumerate(keys):
        member_cache.write(key, trained(member))
    assert member_cache.unfinished(keys) == []
    model, history = (member_cache.FOLDER / f"{keys[1]}.{kind}" for kind in ("keras", "json"))
    content = model.read_bytes()
    if damage == "truncated":
        model.write_bytes(content[:-1])
    elif damage == "bit flipped":
        model.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    elif damage == "swapped":
        model.write_bytes((member_cache.FOLDER / f"{keys[0]}.keras").read_bytes())
    elif damage == "history altered":
        history.write_text(history.read_text().replace('"epoch": 1', '"epoch": 3', 1))
    else:
        history.unlink()
    assert member_cache.unfinished(keys) == [1]


def test_each_member_has_its_own_cache_key_however_many_there_are(labelled, recipe):
    more = member_cache.keys(labelled, recipe.model_copy(update={"members": 5}))
    assert len(set(more)) == 5
    assert more[:3] == member_cache.keys(labelled, recipe)


@pytest.mark.parametrize(
    "change", ["recipe", "fold", "image", "label", "own", "base/dataset.py", "model/network.py", "training/member.py"]
)
def test_cache_key_covers_every_input(folder, labelled, recipe, monkeypatch, request, change):
    before = member_cache.keys(labelled, recipe)
    assert member_cache.keys(labelled, recipe) == before
    images, labels, folds = (array.copy() for array in labelled[:3])
    own = None
    if change == "recipe":
        recipe = recipe.model_copy(update={"zoom": 0.13})
    elif change == "fold":
        folds[5] = (folds[5] + 1) % 3
    elif change == "image":
        images[5, 5, 5] ^= 1
    elif change == "label":
        labels[5] = (labels[5] + 1) % 10
    elif change == "own":
        own = np.zeros(len(labels), dtype=np.uint8)
    else:
        shutil.copytree(Path(member_cache.__file__).parents[1], folder / "digits")
        with (folder / "digits" / change).open("a") as module:
            module.write("\n")
        monkeypatch.setattr(member_cache, "__file__", str(folder / "digits/training/member_cache.py"))
        member_cache.code_digest.cache_clear()
        request.addfinalizer(member_cache.code_digest.cache_clear)
    assert not set(member_cache.keys(dataset.Labelled(images, labels, folds, own), recipe)) & set(before)
