"""What a person sees: metrics, figures, the summary."""
