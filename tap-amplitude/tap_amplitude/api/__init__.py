"""Amplitude over HTTP: the only room that imports requests."""

from __future__ import annotations
