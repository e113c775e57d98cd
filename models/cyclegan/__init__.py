"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593) between faces and pixel art."""
