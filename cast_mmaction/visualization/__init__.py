"""Attention maps over video, and charts."""
