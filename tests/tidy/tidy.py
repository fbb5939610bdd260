#!/usr/bin/python3
"""Checks what no compiler checks: the borders between the folders, and the rules of the house.

    tests/tidy/tidy.py [ROOT]

Prints `path:line: what is wrong (why it matters)` for each finding; fails if there is any. What is
allowed where is in the tables below: a change of the design is a change here, in the same commit.
"""

import os
import re
import sys
from typing import Iterator, NamedTuple


class Finding(NamedTuple):
    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


# --- The tables --------------------------------------------------------------------------------

TOP_LEVEL = {
    "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE",
    "proto", "common", "store-service", "backup-agent", "tests", "deploy",
}
NOT_OURS = {"build", "CMakeUserPresets.json"}  # ignored by git

# Each folder of common/, and the others of common/ that it may include.
COMMON_DEPENDENCIES = {
    "base": set(),
    "io": {"base"},
    "crypto": {"base", "io"},
    "messages": set(),
    "storage": {"base", "io"},
    "repository": {"base", "io", "crypto", "storage"},
    "database": {"base", "io", "crypto"},
    "rpc": {"base", "io", "crypto"},
    "config": {"base", "io", "crypto", "storage", "rpc"},
}

# Generated headers by package, and who may include them. Tests may include all.
PROTO_USERS = {
    "holdfast/v1/": ("common/messages/", "common/rpc/", "store-service/", "backup-agent/"),
    "holdfast/repository/v1/": ("common/messages/", "common/repository/", "backup-agent/"),
    "holdfast/store/v1/": ("common/database/", "store-service/", "backup-agent/restore/"),
    "holdfast/agent/v1/": ("backup-agent/",),
}

# Folders that translate between the outside and the rest: only a composition root includes them.
OUTERMOST = re.compile(r"^(store-service|backup-agent)/(service|portal|cli)/")


class Border(NamedTuple):
    include: str  # a pattern of what stands between the quotes or brackets
    allowed: tuple[str, ...]  # prefixes of paths
    why: str


# A prefix "store-service/*" means the files of that folder itself (its composition root and
# main.cc), "*/main.cc" every path that ends like that.
BORDERS = (
    Border(r"sodium(\.h$|/)",
           ("common/crypto/", "tests/unit/common/crypto/", "tests/bench/"),
           "all cryptography is in common/crypto, where it can be reviewed"),
    Border(r"rocksdb/",
           ("common/database/", "store-service/documents/", "store-service/checkpoints/",
            "backup-agent/restore/", "tests/unit/common/database/",
            "tests/unit/store-service/documents/", "tests/unit/store-service/checkpoints/",
            "tests/unit/backup-agent/restore/", "tests/testing/", "tests/integration/",
            "tests/end_to_end/", "tests/fuzz/", "tests/bench/"),
           "RocksDB stays behind common/database, the engine and the restore"),
    Border(r"(grpcpp|grpc|grpc\+\+)/",
           ("common/rpc/", "store-service/service/", "store-service/*", "backup-agent/service/",
            "backup-agent/source/", "backup-agent/cli/", "backup-agent/*", "tests/"),
           "gRPC only translates: common/rpc, the services, and the client side of the transfer"),
    Border(r"(holdfast/.*\.grpc\.pb\.h$)",
           ("common/rpc/", "store-service/service/", "store-service/*", "backup-agent/service/",
            "backup-agent/source/", "backup-agent/cli/", "backup-agent/*", "tests/"),
           "gRPC only translates: common/rpc, the services, and the client side of the transfer"),
    Border(r"toml\+\+/", ("common/config/", "tests/unit/common/config/"),
           "configuration files are read in common/config"),
    Border(r"curl/", ("common/storage/",),
           "HTTP is spoken with rclone alone, in common/storage"),
    Border(r"CLI/", ("backup-agent/cli/", "store-service/*", "backup-agent/*", "tests/bench/"),
           "command lines are read where a program begins"),
    Border(r"iostream$", ("backup-agent/cli/", "*/main.cc"),
           "a library does not talk to the terminal: it returns a Status, or logs"),
    Border(r"(thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token)$",
           ("common/base/", "tests/bench/"),
           "threads and locks are those of common/base, so that a simulation can drive them"),
    Border(r"(random|absl/random/.*|sys/random\.h)$", ("common/base/", "tests/bench/"),
           "chance comes from a RandomSource, so that a test can repeat it"),
    Border(r"(chrono|absl/time/clock\.h)$", ("common/base/", "tests/bench/"),
           "time comes from a Clock, so that a test can move it"),
    # grpc_log.cc takes none: it tells Abseil how gRPC's locks should work.
    Border(r"absl/synchronization/", ("common/rpc/grpc_log.cc",),
           "locks are those of common/base/mutex.h, which the sanitizers understand"),
    Border(r"fstream$", ("tests/",),
           "files are those of common/io, which knows how they become durable"),
)


class Banned(NamedTuple):
    pattern: str
    allowed: tuple[str, ...]
    why: str


BANNED = (
    Banned(r"(?<![\w.>:])(fork|pthread_create)\s*\(", ("common/base/", "tests/"),
           "threads are common/base/thread.h and executors, so that a simulation can drive them"),
    Banned(r"\bstd::(jthread|thread|async|this_thread)\b", ("common/base/", "tests/bench/"),
           "threads are common/base/thread.h and executors, so that a simulation can drive them"),
    Banned(r"\b(std::(recursive_|shared_|timed_)*mutex|std::condition_variable(_any)?|absl::Mutex|"
           r"absl::CondVar|absl::Notification)\b", ("common/base/", "tests/bench/"),
           "locks are those of common/base/mutex.h, which the sanitizers understand"),
    Banned(r"\babsl::SleepFor\b|(?<![\w.>:])(sleep|usleep|nanosleep|clock_nanosleep)\s*\(",
           ("common/base/", "tests/bench/"),
           "waiting is Clock::WaitUntil or SleepFor(clock, …), so that a test need not wait"),
    Banned(r"\babsl::Now\b|\bstd::chrono::\w+_clock\b|\b(clock_gettime|gettimeofday)\s*\(|"
           r"(?<![\w.>:])time\s*\(\s*(nullptr|NULL|0)\s*\)", ("common/base/", "tests/bench/"),
           "time comes from a Clock, so that a test can move it"),
    Banned(r"\bstd::(random_device|mt19937(_64)?)\b|\babsl::(Insecure)?BitGen\b|"
           r"(?<![\w.>:])(rand|srand|getrandom|arc4random)\s*\(",
           ("common/base/", "tests/bench/"),
           "chance comes from a RandomSource, so that a test can repeat it"),
    Banned(r"\brandombytes_\w+", ("tests/unit/common/crypto/", "tests/bench/"),
           "chance comes from a RandomSource, so that a test can repeat it"),
    Banned(r"\babsl::ErrnoToStatus\b|(?<![\w.>])strerror(_r)?\s*\(",
           ("common/base/", "common/io/fd.cc"),
           "the border between errno and Status is StatusFromErrno in common/io/fd.h"),
    Banned(r"\bstd::string_view\b", ("*.cc",),
           "Debian's absl::string_view is a type of its own, and it is the one of our signatures"),
    Banned(r"(?<![\w])(assert)\s*\(", (),
           "assert is gone in some builds: HOLDFAST_CHECK for our mistakes, a Status for the rest"),
    Banned(r"\bDISABLED_\w+", (),
           "a test that is switched off is forgotten: mend it or delete it"),
    Banned(r"\busing namespace\b", (), "names come from somewhere: say where"),
)

BAD_FOLDERS = {"utils", "util", "helpers", "misc", "shared", "lib"}

CXX = (".cc", ".h")


# --- Reading ----------------------------------------------------------------------------------

def all_files(root: str) -> Iterator[str]:
    """Paths of all files that are ours, relative to the root."""
    for folder, names, files in os.walk(root):
        at_top = os.path.samefile(folder, root)
        names[:] = sorted(
            name for name in names
            if name not in (".git", "__pycache__") and not (at_top and name in NOT_OURS))
        for name in sorted(files):
            if not (at_top and name in NOT_OURS):
                yield os.path.relpath(os.path.join(folder, name), root)


_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)"|"""
    r""""(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+'""", re.DOTALL)
_DIGITS = re.compile(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])")


def without_comments_and_strings(text: str) -> str:
    """The code with its line numbers, and nothing that only looks like code."""
    text = _DIGITS.sub("", text)  # 1'000 is no character
    return _TOKEN.sub(lambda match: "\n" * match.group().count("\n"), text)


def is_in(path: str, prefixes: tuple[str, ...]) -> bool:
    for prefix in prefixes:
        if prefix.startswith("*"):
            if path.endswith(prefix[1:]):
                return True
        elif prefix.endswith("/*"):
            if os.path.dirname(path) == prefix[:-2]:
                return True
        elif path.startswith(prefix):
            return True
    return False


# --- Checks ------------------------------------------------------------------------------------

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def check_include(root: str, path: str, quote: str, name: str) -> Iterator[str]:
    service = path.split("/")[0]
    in_tests = path.startswith("tests/")

    if ".." in name.split("/"):
        yield f'"{name}": includes are written from the repository root, so that they can be moved'
        return

    ours = name.startswith(("common/", "store-service/", "backup-agent/", "tests/"))
    if ours and quote == "<":
        yield f"<{name}>: our own headers stand in quotes"
    if ours and not os.path.isfile(os.path.join(root, name)):
        yield f'"{name}": there is no such file'

    for package, users in PROTO_USERS.items():
        if name.startswith(package) and not in_tests and not is_in(path, users):
            yield (f'"{name}": only {", ".join(users)} and tests know this package (a layer below '
                   "speaks no messages of a layer above)")

    for border in BORDERS:
        if re.match(border.include, name) and not is_in(path, border.allowed):
            allowed = ", ".join(border.allowed) or "nowhere"
            yield f'"{name}": allowed only in {allowed} ({border.why})'

    if in_tests:
        if path.startswith("tests/testing/") and name.startswith("tests/") and \
                not name.startswith("tests/testing/"):
            yield f'"{name}": what tests share does not know the tests'
        return
    if name.startswith("tests/"):
        yield f'"{name}": what is shipped does not know the tests'
    if service == "common":
        if name.startswith(("store-service/", "backup-agent/")):
            yield f'"{name}": common/ is below the services and does not know them'
        folder = path.split("/")[1]
        other = name.split("/")[1] if name.startswith("common/") else folder
        if other != folder and other not in COMMON_DEPENDENCIES.get(folder, set()):
            yield (f'"{name}": common/{folder} may not see common/{other} (dependencies point one '
                   "way; the table is in tests/tidy/tidy.py)")
    other_service = {"store-service": "backup-agent/", "backup-agent": "store-service/"}
    if service in other_service and name.startswith(other_service[service]):
        yield f'"{name}": the services know each other by proto/ alone'
    if OUTERMOST.match(name) and os.path.dirname(path) not in ("store-service", "backup-agent") \
            and os.path.dirname(name) != os.path.dirname(path):
        yield f'"{name}": {os.path.dirname(name)} is outermost; only a composition root sees it'


def check_guard(path: str, text: str) -> Iterator[tuple[int, str]]:
    guard = "HOLDFAST_" + re.sub(r"[^A-Za-z0-9]", "_", path).upper() + "_"
    if f"#ifndef {guard}\n#define {guard}\n" not in text:
        yield 1, f"the include guard is not {guard} (two headers with one guard hide each other)"
    elif not re.search(rf"\n#endif +// {guard}\n$", text):
        yield (line_of(text, len(text.rstrip())),
               f"the last line is not `#endif  // {guard}` (what is behind it is included again)")


def check_cxx(root: str, path: str, text: str) -> Iterator[Finding]:
    for match in _INCLUDE.finditer(text):
        for message in check_include(root, path, match.group(1), match.group(2)):
            yield Finding(path, line_of(text, match.start(2)), message)
    code = without_comments_and_strings(text)
    for banned in BANNED:
        if is_in(path, banned.allowed):
            continue
        for match in re.finditer(banned.pattern, code):
            yield Finding(path, line_of(code, match.start()),
                          f"{match.group().strip()}: {banned.why}")
    if path.endswith(".h"):
        for line, message in check_guard(path, text):
            yield Finding(path, line, message)


def check_cmake(root: str, files: list[str], texts: dict[str, str]) -> Iterator[Finding]:
    """Every .cc is listed, by one CMakeLists.txt, and what is listed exists."""
    listed: dict[str, set[str]] = {}
    for path in files:
        if os.path.basename(path) != "CMakeLists.txt":
            continue
        for number, line in enumerate(texts[path].splitlines(), 1):
            line = line.split("#")[0]
            if re.search(r"\bfile\s*\(\s*GLOB", line):
                yield Finding(path, number,
                              "GLOB: sources are listed, so that a build knows when one is new")
            for name in re.findall(r"(?<![\w/{}.$-])([\w./-]+\.cc)\b", line):
                source = os.path.normpath(os.path.join(os.path.dirname(path), name))
                if not os.path.isfile(os.path.join(root, source)):
                    yield Finding(path, number, f"{name}: there is no such file")
                listed.setdefault(source, set()).add(path)
    for path in files:
        if not path.endswith(".cc"):
            continue
        if path not in listed:
            yield Finding(path, 1, "no CMakeLists.txt lists this file, so nobody builds it")
        elif len(listed[path]) > 1:
            yield Finding(path, 1, f"listed by more than one: {', '.join(sorted(listed[path]))}")


def check_folders(files: list[str]) -> Iterator[Finding]:
    seen = set()
    for path in files:
        top = path.split("/")[0]
        if top not in TOP_LEVEL and not top.startswith(".") and top not in seen:
            seen.add(top)
            yield Finding(top, 1, "does not belong at the top (the design fixes what is there)")
        for folder in path.split("/")[:-1]:
            if folder in BAD_FOLDERS and path not in seen:
                seen.add(path)
                yield Finding(path, 1,
                              f"a folder called {folder} says nothing; a folder is a noun of the "
                              "domain")
    for path in files:
        match = re.match(r"common/([^/]+)/", path)
        if match and match.group(1) not in COMMON_DEPENDENCIES and match.group(0) not in seen:
            seen.add(match.group(0))
            yield Finding(match.group(0), 1,
                          "not in the table of dependencies in tests/tidy/tidy.py")


def check_text(path: str, text: str) -> Iterator[Finding]:
    if text and not text.endswith("\n"):
        yield Finding(path, line_of(text, len(text)), "the last line has no end")
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip() and not path.endswith(".md"):
            yield Finding(path, number, "spaces at the end of the line")
        if "\t" in line:
            yield Finding(path, number, "a tab (it looks different to everybody)")


TEXT_ENDINGS = CXX + (".proto", ".py", ".md", ".json", ".txt", ".toml", ".yaml", ".service", "/run")


def check(root: str) -> list[Finding]:
    files = list(all_files(root))
    texts = {}
    for path in files:
        if path.endswith(TEXT_ENDINGS):
            with open(os.path.join(root, path), encoding="utf-8", newline="") as file:
                texts[path] = file.read()
    findings = list(check_folders(files))
    findings += check_cmake(root, files, texts)
    for path, text in texts.items():
        findings += check_text(path, text)
        if path.endswith(CXX):
            findings += check_cxx(root, path, text)
    return sorted(set(findings))


def main() -> int:
    default_root = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
    root = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else default_root)
    findings = check(root)
    for finding in findings:
        print(finding)
    if findings:
        print(f"{len(findings)} findings", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
