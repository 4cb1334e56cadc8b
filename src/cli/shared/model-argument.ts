/** What the commands that run models say about their MODEL. */

export const MODEL_ARGUMENT =
  'a run, a checkpoint or a packed model; a Hugging Face directory, a GGUF or llama2.c file';

export const MODEL_HELP = `MODEL is the directory of a run (its best checkpoint is taken), of one checkpoint or of a packed model (qsparse convert), or a
model of another program: a Hugging Face directory, a GGUF file, a checkpoint of llama2.c with its tokenizer.bin beside it.`;
