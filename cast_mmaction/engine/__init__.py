"""Optimizer groups, loops and hooks: what MMAction2's runner is given."""
