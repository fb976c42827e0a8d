"""Diffusion: schedules, the Gaussian process, samplers, and noise that both sides of a codec draw alike."""
