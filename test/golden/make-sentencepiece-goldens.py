"""Tiny SentencePiece models and the ids that SentencePiece itself gives: python test/golden/make-sentencepiece-goldens.py

Needs sentencepiece. Writes test/golden/data/sentencepiece/: NAME.model, and sentencepiece.json with the ids of every text. Texts are
sentences of the training text, runs of spaces and letters in which merges overlap, and characters that only bytes can spell.
"""

import io
import json
import pathlib
import random

import sentencepiece

HERE = pathlib.Path(__file__).parent / 'data' / 'sentencepiece'
SENTENCES = [
    'Once upon a time, there was a little fox who lived in the old forest.',
    'The fox said:  "I am   not afraid of the banana, the cabana, or the aaaardvark!"',
    'In 1969, 600 people saw the llama; 1,234,567 did not.',
    'def f(x):\n    return x ** 2    # four    spaces',
    'naïve café, coöperate, Ελληνικά, 漢字かな',
    'It is the best of times, it is the worst of times, said the fox to the llama.',
]
PLAIN = dict(normalization_rule_name='identity', remove_extra_whitespaces=False, byte_fallback=True)
MODELS = {
    'llama': PLAIN,
    'no-prefix': dict(PLAIN, add_dummy_prefix=False),
    'tidied': dict(PLAIN, remove_extra_whitespaces=True),
    'unknown': dict(PLAIN, byte_fallback=False),
    'symbols': dict(PLAIN, add_dummy_prefix=False, user_defined_symbols=['<tool>', 'fox']),
}


def texts():
    rng = random.Random(7)
    parts = [' ', '  ', 'a', 'aa', 'ana', 'ban', 'the', 'fox', ' fox', 'T', 'é', '漢', '🙂', '\n', '\t', '1', '19', '.', '<tool>', '▁']
    yield from SENTENCES
    yield from ['', ' ', '  leading', 'trailing  ', 'a' * 17, ' ' * 9, 'e\u0301', '👩\u200d🚀 🦙']
    for _ in range(120):
        yield ''.join(rng.choice(parts) for _ in range(rng.randrange(1, 14)))


def train(name, options, model_type='bpe', vocab_size=420):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4), model_writer=model, model_type=model_type, vocab_size=vocab_size,
        character_coverage=0.98, hard_vocab_limit=False, minloglevel=2, **options)
    (HERE / f'{name}.model').write_bytes(model.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


HERE.mkdir(parents=True, exist_ok=True)
cases = {}
for name, options in MODELS.items():
    processor = train(name, options)
    cases[name] = [dict(text=text, ids=processor.encode(text), decoded=processor.decode(processor.encode(text))) for text in texts()]
train('unigram', PLAIN, model_type='unigram', vocab_size=330)
(HERE / 'sentencepiece.json').write_text(json.dumps(dict(version=sentencepiece.__version__, cases=cases), ensure_ascii=False) + '\n')
for file in sorted(HERE.iterdir()):
    print(file.name, file.stat().st_size)
