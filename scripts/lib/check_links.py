"""Checks that links between the Markdown files of the repository lead somewhere.

usage: python3 scripts/lib/check_links.py

Run in the root of the repository. Looks at links to files and folders and to headings
(`file.md#heading`), never at the network. Prints each dead link as `file:line: reason`
and exits 1 if there is one.
"""

import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote

SKIPPED_FOLDERS = {".git", ".venv", "data", "node_modules", "target"}

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)")
HEADING = re.compile(r"^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$")
ANCHOR = re.compile(r"""<[^>]*\b(?:id|name)=["']([^"']+)["']""")
LINKS = (
    # [text](target "title"), and an image in the same way.
    re.compile(r"""\]\(\s*<?([^()\s<>]+(?:\([^()\s]*\)[^()\s<>]*)*)>?(?:\s+["'(][^)]*)?\)"""),
    # [name]: target
    re.compile(r"^ {0,3}\[[^\]^][^\]]*\]:\s*<?([^\s<>]+)"),
    # <a href="target">, <img src="target">
    re.compile(r"""<[^>]*\b(?:href|src)=["']([^"']+)["']"""),
)


def markdown_files(root):
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(set(subfolders) - SKIPPED_FOLDERS)
        for name in sorted(names):
            if name.endswith(".md"):
                yield Path(folder, name)


def prose(path):
    """The lines of a file with their numbers, without its fenced code."""
    fence = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark = FENCE.match(line)
        if fence is None and mark:
            fence = mark.group(1)
        elif fence is None:
            yield number, line
        elif mark and mark.group(1).startswith(fence) and not line.strip().strip(fence[0]):
            fence = None


def anchors(path):
    """The names under which headings can be linked to, made as GitHub makes them."""
    names = set()
    for _, line in prose(path):
        names.update(ANCHOR.findall(line))
        heading = HEADING.match(line)
        if not heading:
            continue
        text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1))
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        name, count = slug, 0
        while name in names:
            count += 1
            name = f"{slug}-{count}"
        names.add(name)
    return names


def links(path):
    for number, line in prose(path):
        for pattern in LINKS:
            for target in pattern.findall(CODE.sub("", line)):
                yield number, target


def fault(root, path, target):
    """Why a link is dead, or None if it is not."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:|//", target):
        return None
    name, _, fragment = unquote(target).partition("#")
    if name.startswith("/"):
        goal = root / name[1:]
    else:
        goal = path.parent / name if name else path
    goal = Path(os.path.normpath(goal))
    if root != goal and root not in goal.parents:
        return f"{target} leads out of the repository"
    if not goal.exists():
        return f"there is no {target}"
    if fragment and goal.suffix == ".md" and fragment not in anchors(goal):
        return f"there is no heading for {target}"
    return None


def main():
    root = Path.cwd()
    files = faults = 0
    for path in markdown_files(root):
        files += 1
        for number, target in links(path):
            reason = fault(root, path, target)
            if reason:
                faults += 1
                print(f"{path.relative_to(root)}:{number}: {reason}")
    print(f"{files} files, {faults} dead links")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
