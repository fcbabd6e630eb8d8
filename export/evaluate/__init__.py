"""The evaluation of classifiers: inputs, fusions and baselines compared on the same splits."""
