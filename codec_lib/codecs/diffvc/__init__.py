"""DiffVC (arXiv 2501.13528): a contextual codec of latents, and a diffusion model as its decoder."""
