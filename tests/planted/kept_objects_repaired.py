"""The same objects of some thirty types, which each cycle makes anew and lets go of those before."""

from kept_objects_leak import objects

kept = []


def cycle(state):
    kept[:] = [objects(1000)]
