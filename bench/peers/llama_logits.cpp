// The logits of llama.cpp at every position of a text of token ids, and how it divides a text into ids: what an exported GGUF file is checked by.
//
//   g++ -std=c++17 -O1 -I LLAMA/include -I LLAMA/ggml/include llama_logits.cpp LLAMA/build/src/libllama.a \
//     LLAMA/build/ggml/src/{libggml,libggml-cpu,libggml-base}.a -fopenmp -lpthread -ldl -o llama_logits
//   ./llama_logits MODEL.gguf TEXT.txt 1 2 3
//
// Prints the ids of the text in one line, then the logits of each position in one line. Keys, values and flash attention are kept in f32.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

static void quiet(ggml_log_level level, const char *text, void *) {
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int main(int argc, char **argv) {
    if (argc < 4) return fprintf(stderr, "usage: llama_logits MODEL.gguf TEXT.txt ID...\n"), 2;
    llama_log_set(quiet, nullptr);
    llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (!model) return 1;
    const llama_vocab *vocab = llama_model_get_vocab(model);

    std::stringstream text;
    text << std::ifstream(argv[2]).rdbuf();
    const std::string words = text.str();
    std::vector<llama_token> ids(words.size() + 8);
    ids.resize(llama_tokenize(vocab, words.data(), words.size(), ids.data(), ids.size(), true, true));
    for (llama_token id : ids) printf("%d ", id);
    printf("\n");

    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = 256;
    params.n_threads = params.n_threads_batch = 1;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    llama_context *context = llama_init_from_model(model, params);
    if (!context) return 1;
    llama_batch batch = llama_batch_init(argc - 3, 0, 1);
    for (int i = 3; i < argc; i++) {
        const int at = batch.n_tokens++;
        batch.token[at] = atoi(argv[i]);
        batch.pos[at] = at;
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = 0;
        batch.logits[at] = true;
    }
    if (llama_decode(context, batch) != 0) return 1;
    const int n = llama_vocab_n_tokens(vocab);
    for (int i = 0; i < batch.n_tokens; i++) {
        const float *logits = llama_get_logits_ith(context, i);
        for (int j = 0; j < n; j++) printf("%.9g ", logits[j]);
        printf("\n");
    }
}
