"""Checking gradients against the slopes of the loss."""
