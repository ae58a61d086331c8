"""Nodes in trouble and their pods: taints, eviction, and the end of pods whose node is gone."""
