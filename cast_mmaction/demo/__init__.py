"""A page that shows what a model sees: ``tools/demo_app.py``.

Needs the extra ``demo``; nothing else of the package imports this one.
"""
