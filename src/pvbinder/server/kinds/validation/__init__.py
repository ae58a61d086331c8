"""The rules of validation that kinds share: names, labels, quantities, selectors, references, pod volumes.

Promise: pure functions of values; every "no" is in the reference's words (GW-11).
"""
