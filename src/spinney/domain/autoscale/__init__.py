"""How many members a cluster should have, from what is measured of it, steps and schedules: pure.

``deciding.evaluate`` is the whole of it: rules, the situation at one moment and what is remembered of those before it go in, a
decision with its reasons comes out. It needs nothing else, so it runs over recorded history as it runs over the present:
``history.follow`` makes of a state and a decision the state for the next one.
"""
