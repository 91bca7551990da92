// MODEL OUT ID…: writes llama.cpp's float32 logits of every position, with a float32 KV cache and no flash attention.
// The `--probe` of make_family_ggufs.py. Build against llama.cpp's headers (include, ggml/include) and -lllama -lggml -lggml-base.
#include "llama.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char ** argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: %s MODEL OUT ID...\n", argv[0]);
        return 2;
    }
    llama_backend_init();
    llama_model * model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (model == nullptr) {
        return 1;
    }
    const int tokens = argc - 3;
    llama_context_params options = llama_context_default_params();
    options.n_ctx = 256;
    options.n_batch = options.n_ubatch = 64;
    options.n_threads = options.n_threads_batch = 1;
    options.type_k = options.type_v = GGML_TYPE_F32;
    options.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    llama_context * context = llama_init_from_model(model, options);
    if (context == nullptr) {
        return 1;
    }
    llama_batch batch = llama_batch_init(tokens, 0, 1);
    for (batch.n_tokens = 0; batch.n_tokens < tokens; batch.n_tokens++) {
        const int at = batch.n_tokens;
        batch.token[at] = atoi(argv[3 + at]);
        batch.pos[at] = at;
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = 0;
        batch.logits[at] = 1;
    }
    FILE * out = fopen(argv[2], "wb");
    if (out == nullptr || llama_decode(context, batch) != 0) {
        return 1;
    }
    const int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int at = 0; at < tokens; at++) {
        fwrite(llama_get_logits_ith(context, at), sizeof(float), vocab, out);
    }
    return fclose(out);
}
