"""The same on a CUDA device: scale, nuclei and whole fields in tensors."""
