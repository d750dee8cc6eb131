"""Models as files that need nothing of this package: ``tools/export.py``.

ONNX files need the extra ``export``; nothing else of the package imports this
one.
"""
