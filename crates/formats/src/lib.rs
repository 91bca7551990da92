//! File formats: safetensors, GGUF, npy. Headers and memory-mapped views; no arrays, no network.
