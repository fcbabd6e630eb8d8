"""Pairs of border strips whose true correspondence is known, to train and judge a matcher on.

A `PairSource` gives patches of a specimen, real or made; `draw_pair` photographs one patch twice,
as two neighbouring tiles would show it, and keeps where every cell of the first lies in the second.
"""
