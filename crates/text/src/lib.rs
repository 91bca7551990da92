//! Everything between strings and token ids: tokenizers, streaming decode, chat templates. No arrays.
