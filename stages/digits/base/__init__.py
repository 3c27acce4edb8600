"""What every stage needs: paths, arrays and folds, params.yaml, errors, whole files."""
