"""Writes text.json: what pycocoevalcap, METEOR 1.5, sacrebleu and subword-nmt make of text.

Captions and sentences in this file are written for it. Of Flickr8k and Multi30k, which are not part
of the project, the file holds scores and hashes only.

Usage: python text.py DATA OUTPUT.json      DATA holds flickr8k/captions.tsv and text/multi30k/*.gz
Needs: Java, and pycocoevalcap, sacrebleu and subword-nmt (requirements.txt beside this file).
"""

import gzip
import importlib.metadata
import io
import json
import pathlib
import subprocess
import sys

import pycocoevalcap.meteor.meteor as meteor_module
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer
from sacrebleu.metrics import BLEU
from subword_nmt.apply_bpe import BPE
from subword_nmt.learn_bpe import learn_bpe

CAPTIONS = [
    ("A woman isn't holding the dog's leash .",
     ["The woman's dog runs without a leash.", "A lady can't hold her dog, it's running.",
      "Dog running; woman standing"]),
    ("a man in a t-shirt rides a bike",
     ["A man rides a bicycle.", "a biker in a T-Shirt is riding", "The man's riding his bike!"]),
    ("two dogs play in the snow",
     ["Two dogs playing in snow .", "A dog plays with another dog on a snowy field",
      "Dogs are playing -- in the snow"]),
    ("children are sitting at a table , eating",
     ["A child sits and eats at the table.", "Four kids (two girls and two boys) sit at a table",
      "\"Lunch\" is being eaten by 4 children"]),
    ("a red bus at 5 p.m. on a street in the U.S.",
     ["The red bus drives down St. James St.", "A bus, number 1,402, stops at 10:30",
      "Mr. Smith's bus costs $ 3.50 & is red"]),
    ("dog", ["A dog .", "One dog sleeps", "dog"]),
    ("a boat on the sea with the sea behind the boat on the sea",
     ["the boat on the sea", "A sailing boat sails on a calm sea near the boats",
      "boats , boats and more boats"]),
    ("they're gonna jump, they cannot fall",
     ["They are going to jump", "Nobody's falling; they'll jump", "We've seen them jumping?!"]),
    ("the mother-in-law drinks black-and-white coffee and/or tea at 9 o'clock",
     ["A mother drinks coffee", "She drinks café au lait", "the '90s mother-in-law and her tea ..."]),
    ("nothing matches whatsoever",
     ["A skier skis down the hill", "Skiers on a slope", "Someone skiing fast"]),
]

SENTENCES = [
    ("The cat sat on the mat.", ["The cat sat on the mat.", "A cat was sitting on the mat."]),
    ("It costs 1,000.50 dollars - or 3.5 %, doesn't it?",
     ["It costs $1,000.50, or 3.5%, doesn't it?", "The price: 1,000.50 dollars; 3-4 % more!"]),
    ("Er sagte: \u201eGuten Tag!\u201c und ging.", ["Er sagte \"Guten Tag\" und ging weg.", "Guten Tag"]),
    ("A &amp; B &lt;3 &quot;C&quot;", ["A & B <3 \"C\"", "A and B"]),
    ("un  homme\u00a0assis , l'air content", ["Un homme est assis, l'air content.", "L'homme assis"]),
    ("one", ["two", "three four"]),
]

def fnv1a64(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def tokenized(sentences):
    by_image = {i: [{"caption": sentence}] for i, sentence in enumerate(sentences)}
    tokens = PTBTokenizer().tokenize(by_image)
    return [tokens[i][0] for i in range(len(sentences))]


def meteor(references, hypotheses, *options):
    popen = subprocess.Popen
    meteor_module.subprocess.Popen = lambda command, **more: popen(command + list(options), **more)
    score = meteor_module.Meteor().compute_score(references, hypotheses)[0]
    meteor_module.subprocess.Popen = popen
    return score


def caption_scores(cases):
    """@param cases  (hypothesis, references), as tokens with spaces between."""
    hypotheses = {i: [case[0]] for i, case in enumerate(cases)}
    references = {i: list(case[1]) for i, case in enumerate(cases)}
    return {
        "bleu": Bleu(4).compute_score(references, hypotheses, verbose=0)[0],
        "meteor_exact_stem": meteor(references, hypotheses, "-m", "exact stem", "-w", "1.0 0.6",
                                    "-p", "0.85 0.2 0.6 0.75"),
        "meteor": meteor(references, hypotheses),
        "rouge_l": float(Rouge().compute_score(references, hypotheses)[0]),
        "cider_d": float(Cider().compute_score(references, hypotheses)[0]),
    }


def flickr8k(path):
    """The test images: of every three, one has its own first caption as hypothesis, one that of the
    next image, one its own with the words in reverse; the other captions are references."""
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    tokens = tokenized([row[2] for row in rows])
    images = {}
    for (split, image, _), line in zip(rows, tokens):
        if split == "test":
            images.setdefault(image, []).append(line)
    captions = list(images.values())
    cases = []
    for i, of_image in enumerate(captions):
        hypothesis = [of_image[0], captions[(i + 1) % len(captions)][0],
                      " ".join(reversed(of_image[0].split()))][i % 3]
        cases.append((hypothesis, of_image[1:]))
    return {"captions": len(rows), "token_hash": fnv1a64("\n".join(tokens)),
            "scores": caption_scores(cases)}


def bleu(hypotheses, references):
    """@param references  a list for each sentence, all as long."""
    score = BLEU().corpus_score(hypotheses, [list(stream) for stream in zip(*references)])
    return {"bleu": score.score, "precisions": score.precisions, "brevity_penalty": score.bp,
            "hypothesis_length": score.sys_len, "reference_length": score.ref_len}


def made_up(sentences):
    """Every fifth word is dropped, and of every four sentences one is that of the next line."""
    made = []
    for i in range(len(sentences)):
        words = sentences[(i + 1) % len(sentences) if i % 4 == 3 else i].split(" ")
        made.append(" ".join(word for k, word in enumerate(words) if k % 5 != 4))
    return made


def multi30k(path):
    result = {}
    for language in ("de", "fr", "en"):
        text = gzip.open(path / f"test_2016_flickr.{language}.gz").read().decode()
        sentences = text.split("\n")[:-1]
        result[language] = bleu(made_up(sentences), [[sentence] for sentence in sentences])
    return result


def byte_pairs(sentences, merges):
    lines = "".join(sentence + "\n" for sentence in sentences)
    codes = io.StringIO()
    learn_bpe(io.StringIO(lines), codes, merges)
    codes.seek(0)
    encoding = BPE(codes)
    unseen = "the unseen snowboarder's  caf\u00e9-dogs"
    return {"merges": codes.getvalue().splitlines()[1:], "unseen": unseen,
            "encoded": encoding.process_line(unseen).split()}


def multi30k_byte_pairs(path):
    """Merges of the first 2000 German training sentences, as tokens with spaces between."""
    lines = gzip.open(path / "train.de.gz").read().decode().split("\n")[:2000]
    pairs = byte_pairs(lines, 1000)
    return {"merges_hash": fnv1a64("\n".join(pairs["merges"])), "merges": len(pairs["merges"])}


def main():
    data = pathlib.Path(sys.argv[1])
    texts = [text for case in CAPTIONS for text in (case[0], *case[1])]
    tokens = dict(zip(texts, tokenized(texts)))
    cases = [(tokens[hypothesis], [tokens[text] for text in references])
             for hypothesis, references in CAPTIONS]
    versions = {name: importlib.metadata.version(name)
                for name in ("pycocoevalcap", "sacrebleu", "subword-nmt")}
    result = {
        "versions": versions,
        "captions": [{"hypothesis": hypothesis, "references": references}
                     for hypothesis, references in CAPTIONS],
        "tokens": [[text, tokens[text]] for text in texts],
        "scores": caption_scores(cases),
        "sentences": [{"hypothesis": hypothesis, "references": references}
                      for hypothesis, references in SENTENCES],
        "bleu": bleu([case[0] for case in SENTENCES], [case[1] for case in SENTENCES]),
        "sentence_bleu": [bleu([case[0]], [case[1]]) for case in SENTENCES],
        "byte_pairs": byte_pairs([tokens[text] for text in texts], 60),
        "flickr8k": flickr8k(data / "flickr8k" / "captions.tsv"),
        "multi30k": multi30k(data / "text" / "multi30k"),
        "multi30k_byte_pairs": multi30k_byte_pairs(data / "text" / "multi30k"),
    }
    with open(sys.argv[2], "w") as file:
        json.dump(result, file, indent=1)
        file.write("\n")


main()
