"""Members -> probabilities: test-time augmentation, average, k-NN."""
