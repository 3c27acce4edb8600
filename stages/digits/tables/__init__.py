"""CSV files: Kaggle's and one's own digits, read or rejected with line and column."""
