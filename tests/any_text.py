"""Text for property tests: all that UTF-8 can hold."""

from hypothesis import strategies as st

# The same characters as Hypothesis' default, which it finds by encoding each: seconds a process.
CHARACTERS = st.characters(exclude_categories=("Cs",))
ANY_TEXT = st.text(CHARACTERS)
