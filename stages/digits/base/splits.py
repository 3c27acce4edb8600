"""The folds, and which rows a member trains on, validates on and holds out."""

from typing import NamedTuple

import numpy as np

from stages.digits.base.dataset import DIGITS, PRINT, Folds, Labelled, Labels, OwnDigits, Rows, Writers
from stages.digits.base.errors import InputError


class Split(NamedTuple):
    """A member's rows of `Labelled`, each row in exactly one part."""

    train: Rows  # own ones as often as their weight says
    validation: Rows  # for early stopping
    held_out: Rows  # for `evaluate` only


def assign_folds(labels: Labels, folds: int, seed: int) -> Folds:
    """The fold of each row, stratified: every digit is spread evenly over the folds.

    InputError if a digit has fewer than two rows per fold.
    """
    from sklearn.model_selection import StratifiedKFold  # here: it takes two seconds, and most need only the arrays

    counts = np.bincount(labels, minlength=DIGITS)
    rarest = int(counts.argmin())
    if counts[rarest] < 2 * folds:
        raise InputError(
            f"train.csv: label {rarest}: found {counts[rarest]} rows, "
            f"expected at least {2 * folds}, two for each of the {folds} folds (prepare.folds in params.yaml)"
        )
    splitter = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    assigned = np.empty(len(labels), dtype=np.uint8)
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
        assigned[held_out] = fold
    return assigned


def assign_own_folds(labels: Labels, writers: Writers, folds: int, seed: int) -> Folds:
    """The fold of each own row: out of fold then means a hand never seen, if there are as many writers as folds.

    A writer is held out whole. With fewer writers, and for printed digits, each digit is spread evenly over the folds.
    """
    from sklearn.model_selection import GroupKFold  # here: as above

    assigned = np.empty(len(labels), dtype=np.uint8)
    printed = writers == PRINT
    for rows in map(np.flatnonzero, (~printed, printed)):
        order = np.random.default_rng(seed).permutation(rows)
        order = order[np.argsort(labels[order], kind="stable")]
        assigned[order] = np.arange(len(rows)) % folds
    hands = np.flatnonzero(~printed)
    if len(np.unique(writers[hands])) >= folds:
        for fold, (_, held_out) in enumerate(GroupKFold(folds).split(hands, groups=writers[hands])):
            assigned[hands[held_out]] = fold
    return assigned


def add_own(labelled: Labelled, own: OwnDigits, weight: int) -> Labelled:
    """`labelled`, then one's own rows, to be trained on `weight` times in an epoch: with 0 they aren't added."""
    if not weight or not len(own.labels):
        return labelled
    weights = np.repeat(np.array([0, weight], dtype=np.uint8), [len(labelled.labels), len(own.labels)])
    images, labels, folds = (np.concatenate(pair) for pair in zip(labelled[:3], own[:3], strict=True))
    return Labelled(images, labels, folds, weights)


def held_out_fold(labelled: Labelled, member: int) -> int:
    """The fold that the member, counted from 0, never sees: one each, cyclically."""
    return member % (int(labelled.folds.max()) + 1)


def split(labelled: Labelled, member: int, validation_fraction: float, seed: int) -> Split:
    """The member's rows; validation is a stratified fraction of Kaggle's rows outside its fold.

    So Kaggle's rows are split alike with and without own ones, which are all trained on.
    """
    from sklearn.model_selection import train_test_split  # here: as above

    held_out = labelled.folds == held_out_fold(labelled, member)
    remaining = np.flatnonzero(~held_out & ~labelled.is_own)
    train, validation = train_test_split(
        remaining,
        test_size=max(DIGITS, round(validation_fraction * len(remaining))),
        stratify=labelled.labels[remaining],
        random_state=seed + member,
    )
    if labelled.own is not None:
        own = np.flatnonzero(~held_out & labelled.is_own)
        train = np.concatenate([train, np.repeat(own, labelled.own[own])])
    return Split(np.sort(train), np.sort(validation), np.flatnonzero(held_out))
