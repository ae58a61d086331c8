"""The messages of the interface and its methods.

`csi_pb2.py` and `csi_pb2.pyi` are made from `csi.proto` by `tools/csi_stubs.py`; a test holds them together.
"""
