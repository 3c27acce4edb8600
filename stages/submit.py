"""Predict the unlabelled images with the whole ensemble and write Kaggle's submission."""

from pathlib import Path

from stages.digits import dataset, ensemble, errors, kaggle, params

SUBMISSION = Path("data/submission.csv")


def main() -> None:
    images = dataset.load_unlabelled(dataset.UNLABELLED)
    reference = dataset.load_labelled(dataset.LABELLED)
    kaggle.check_against_sample(params.raw(), len(images))
    digits = ensemble.predict(images, reference, ensemble.load_members()).argmax(axis=1)
    kaggle.write_submission(SUBMISSION, digits)
    print(f"wrote {SUBMISSION}: {len(digits)} predicted digits")


if __name__ == "__main__":
    errors.run(main)
