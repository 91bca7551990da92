//! Lazy arrays on unified memory: dtypes, views, ops over primitives, evaluation. No language model, no file format.
