"""How verbs are called, a file for each group: names, options, examples; `commands` does them."""
