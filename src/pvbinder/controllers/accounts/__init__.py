"""What lets pods and people in: service accounts, their tokens, the certificate to trust, and roles that gather rules.

Each module is one of kube-controller-manager's controllers, under its name.
"""
