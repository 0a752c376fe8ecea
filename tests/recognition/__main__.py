"""Print what is recognised and what is not: `python -m tests.recognition`; `--errors` shows those of the tuned half.

`--held-out-errors` shows the others, too. Whoever changes a rule after that has no held-out half any more.
"""

import sys
import time

from convo_service.domain.recognition import Recogniser
from tests.recognition.judging import judged, table
from tests.recognition.messages import DESCRIPTIONS, labelled


def main(arguments: list[str]) -> None:
    """Judge both halves."""
    recogniser = Recogniser(DESCRIPTIONS)
    for held_out in (False, True):
        messages = labelled(held_out=held_out)
        verdict = judged(recogniser, messages)
        print("held out:" if held_out else "tuned on:")
        print("\n".join(table(verdict, list(DESCRIPTIONS))))
        if ("--held-out-errors" if held_out else "--errors") in arguments:
            print(
                "\n".join(f"  {label or '(stay)'} -> {got or 'stays'}: {text}" for label, got, text in verdict.errors)
            )
        print()
    texts = [text for _, text in labelled(held_out=False)]
    started = time.perf_counter()
    for text in texts:
        recogniser.recognise(text)
    print(f"{(time.perf_counter() - started) / len(texts) * 1e6:.0f} us a message, its words having been seen before")


if __name__ == "__main__":
    main(sys.argv[1:])
