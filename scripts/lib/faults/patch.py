"""Applies unified diffs by their words: each hunk goes where its old lines stand, and they must
stand there once.
"""

import os


class Misfit(Exception):
    """A patch does not fit the sources."""


def apply_patch(text, root, target):
    """Applies a patch to files below `root`, writing the changed ones below `target`; nowhere where
    that is None.
    """
    for path, hunks in parse(text):
        with open(os.path.join(root, path)) as file:
            source = file.read()
        for old, new in hunks:
            if source.count(old) != 1:
                raise Misfit(
                    f"{path} has {source.count(old)} places for {old.splitlines()[0]!r} and so on"
                )
            source = source.replace(old, new)
        if target is not None:
            with open(os.path.join(target, path), "w") as file:
                file.write(source)


def parse(text):
    """The files of a patch, each with its hunks as old and new text."""
    files = []
    old, new = [], []

    def end_hunk():
        if old or new:
            files[-1][1].append(("".join(old), "".join(new)))
            old.clear()
            new.clear()

    for line in text.splitlines(keepends=True):
        if line.startswith("--- "):
            end_hunk()
        elif line.startswith("+++ "):
            files.append((line[4:].strip().split("/", 1)[1], []))
        elif line.startswith("@@"):
            end_hunk()
        elif files:
            if line[0] in " -":
                old.append(line[1:])
            if line[0] in " +":
                new.append(line[1:])
    end_hunk()
    return files
