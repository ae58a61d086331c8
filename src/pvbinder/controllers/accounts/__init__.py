"""The access of pods and people: service accounts, their tokens, the certificate to trust, roles that gather rules.

Each module is one of kube-controller-manager's controllers, under its name.
"""
