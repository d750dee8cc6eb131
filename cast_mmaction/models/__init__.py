"""Experts, adapters, exchanges, backbones and heads."""
