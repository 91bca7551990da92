//! Language models on `olivine-array`: specs, families, one decoder, caches, sampling. No requests, no network.
