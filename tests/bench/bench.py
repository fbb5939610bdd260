"""Measures Holdfast beside its peers, and prints medians as ratios: see README.md."""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "end_to_end"))
import harness  # noqa: E402  pylint: disable=wrong-import-position

BENCH_PROGRAM = harness.BUILD_DIR / "tests" / "bench" / "holdfast-bench"
DOCUMENT_BYTES = 4096
# A store is idle when no file of it has changed for so long.
IDLE_SECONDS = 3.0
PASSWORD = "benchmark"
# RocksDB's folder of logs that a database no longer needs. No backup of the store has them, so the
# others need not carry them either.
ARCHIVE = "archive"


def log(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def run(*command, **kwargs):
    """Runs a program; returns its output. Fails with what it said."""
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False,
                          **kwargs)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: exit code {done.returncode}\n"
                           f"{done.stdout[-2000:]!r}\n{done.stderr[-2000:]!r}")
    return done.stdout


def timed(*command, **kwargs):
    """How many seconds a program takes."""
    start = time.monotonic()
    run(*command, **kwargs)
    return time.monotonic() - start


def put_instances_into(folder):
    """What is made for a while, as harness.Instance, is below `folder` from now on."""
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None


def bench(*arguments):
    return json.loads(run(BENCH_PROGRAM, *arguments))


def files_below(directory):
    """The sizes of all files of a database, but for the logs that RocksDB only keeps for a while."""
    found = {}
    for path in pathlib.Path(directory).rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.parent.name != ARCHIVE:
                found[str(path)] = path.stat().st_size
    return found


def bytes_below(directory):
    return sum(files_below(directory).values())


def await_idle(directory):
    """Returns once no file below has come, gone or grown for a while: compactions have ended."""
    before, since = None, time.monotonic()
    while time.monotonic() - since < IDLE_SECONDS:
        now = files_below(directory)
        if now != before:
            before, since = now, time.monotonic()
        time.sleep(0.2)


class Samples:
    """What was measured, by name: a list of figures each."""

    def __init__(self):
        self.values = {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)
        log(f"  {name}: {value:.3f}" if isinstance(value, float) else f"  {name}: {value}")

    def median(self, name):
        return statistics.median(self.values[name])

    def has(self, name):
        return name in self.values


class Table:
    """The rows that are shown: work, what was measured, the target, whether it is reached."""

    def __init__(self, rows=()):
        self.rows = list(rows)

    def at_least(self, number, work, what, ratio, target):
        self._add(number, work, what, ratio, f"≥ {target}", ratio >= target)

    def at_most(self, number, work, what, ratio, target):
        self._add(number, work, what, ratio, f"≤ {target}", ratio <= target)

    def _add(self, number, work, what, ratio, target, is_reached):
        self.rows.append({"number": number, "work": work, "what": what,
                          "measured": round(ratio, 4), "target": target, "reached": is_reached})

    def to_markdown(self):
        lines = ["| # | work | what | measured | target | |", "| --- | --- | --- | ---: | --- | --- |"]
        lines += [f"| {row['number']} | {row['work']} | {row['what']} | {row['measured']:.3g} | "
                  f"{row['target']} | {'reached' if row['reached'] else '**missed**'} |"
                  for row in self.rows]
        return "\n".join(lines) + "\n"


# --- Backups ----------------------------------------------------------------------------------


class Restic:
    name = "restic"

    def __init__(self, folder):
        self.repository = folder / "restic"
        self.env = {**os.environ, "RESTIC_PASSWORD": PASSWORD, "RESTIC_CACHE_DIR":
                    str(folder / "restic-cache"), "RESTIC_REPOSITORY": str(self.repository)}

    def _run(self, *arguments):
        return timed("restic", "--quiet", *arguments, env=self.env)

    def prepare(self):
        self._run("init")

    def back_up(self, data):
        return self._run("backup", "--exclude", data / ARCHIVE, data)

    def restore(self, target):
        return self._run("restore", "latest", "--verify", "--target", target)

    def check(self):
        return self._run("check", "--read-data")


class Borg:
    name = "borg"

    def __init__(self, folder):
        self.repository = folder / "borg"
        self.env = {**os.environ, "BORG_PASSPHRASE": PASSWORD,
                    "BORG_BASE_DIR": str(folder / "borg-base"),
                    "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}
        self.count = 0

    def prepare(self):
        run("borg", "init", "--encryption=repokey-blake2", self.repository, env=self.env)

    def back_up(self, data):
        self.count += 1
        return timed("borg", "create", "--exclude", data / ARCHIVE,
                     f"{self.repository}::{self.count}", data, env=self.env)

    def restore(self, target):
        pathlib.Path(target).mkdir()
        return timed("borg", "extract", f"{self.repository}::{self.count}", cwd=target,
                     env=self.env)

    def check(self):
        return timed("borg", "check", "--verify-data", self.repository, env=self.env)


class Holdfast:
    """The store stays the same; the agent begins anew for each repetition."""
    name = "holdfast"

    def __init__(self, instance):
        self.instance = instance
        self.files_seconds = None

    def prepare(self):
        self.forget()
        # Another installation makes the repository: nothing else does, once there is a configuration.
        other = self.instance.root / "other"
        run(harness.HOLDFAST_PROGRAM, "init", "--directory", other, "--destination",
            f"file://{self.instance.destination}")
        shutil.rmtree(other)
        self.instance.start_agent()

    def forget(self):
        """Removes all that was backed up, and what the agent knows of it."""
        if self.instance.agent:
            self.instance.agent.stop()
            self.instance.agent = None
        shutil.rmtree(self.instance.destination, ignore_errors=True)
        shutil.rmtree(self.instance.home / "agent", ignore_errors=True)

    def back_up(self, _data):
        start = time.monotonic()
        self.instance.holdfast("backup", "now")
        return time.monotonic() - start

    def bytes_sent(self):
        return self.instance.runs()[0].bytes_sent

    def restore(self, target):
        start = time.monotonic()
        result = self.instance.restore(target, "--json").json
        seconds = time.monotonic() - start
        # What it takes without the proof of every document, which no other tool makes.
        self.files_seconds = (
            seconds - (int(result["duration_ms"]) - int(result["files_duration_ms"])) / 1000)
        return seconds

    def check(self):
        start = time.monotonic()
        self.instance.holdfast("check", "--read-data", "--from",
                               f"file://{self.instance.destination}")
        return time.monotonic() - start


def copy_and_sync(data, target):
    files = list(files_below(data))
    target.mkdir()
    start = time.monotonic()
    run("cp", *files, target)
    run("sync", "-f", target)
    return time.monotonic() - start


def measure_backups(options, medium, folder):
    """First, unchanged and changed backups, restores and checks of one store, of all tools."""
    samples = Samples()
    documents = options.mebibytes * 2**20 // DOCUMENT_BYTES
    put_instances_into(folder)
    with harness.Instance() as instance:
        instance.start_store()
        store = f"unix:{instance.store_socket}"
        log(f"{documents} documents of {DOCUMENT_BYTES} bytes")
        bench("fill", "--holdfast", store, "--documents", documents, "--size", DOCUMENT_BYTES)
        # A first backup lets the store put all into tables: the others need not carry its old logs.
        holdfast = Holdfast(instance)
        holdfast.prepare()
        holdfast.back_up(None)
        holdfast.forget()
        await_idle(instance.data_directory)
        rocksdb = folder / "rocksdb"
        bench("rocksdb-fill", rocksdb, "--documents", documents, "--size", DOCUMENT_BYTES)
        for repetition in range(options.repetitions):
            log(f"{medium}: repetition {repetition + 1} of {options.repetitions}")
            measure_once(samples, folder, instance, rocksdb, documents, repetition)
    shutil.rmtree(rocksdb)
    return samples


def measure_once(samples, folder, instance, rocksdb, documents, repetition):
    data = instance.data_directory / "db"
    tools = [Holdfast(instance), Restic(folder), Borg(folder)]
    samples.add("cipher bytes/s", bench("cipher")["bytes_per_second"])
    samples.add("data bytes", bytes_below(data))
    os.sync()
    samples.add("cp first", copy_and_sync(data, folder / "copy"))
    shutil.rmtree(folder / "copy")
    for tool in tools:
        tool.prepare()
        os.sync()
        samples.add(f"{tool.name} first", tool.back_up(data))
        if tool.name == "holdfast":
            samples.add("agent's peak MiB", instance.agent.peak_memory_bytes() / 2**20)
    for threads in (1, 2, 4):
        backup = folder / "rocksdb-backup"
        os.sync()
        samples.add(f"backup engine, threads {threads}, first",
                    bench("rocksdb-backup", rocksdb, backup, "--threads", threads)["seconds"])
        shutil.rmtree(backup)

    for tool in tools:
        tool.back_up(data)  # what was still open, as the newest log file, is closed
        samples.add(f"{tool.name} unchanged", tool.back_up(data))

    before = files_below(data)
    changed = max(1, documents // 100)
    first = repetition * changed
    bench("fill", "--holdfast", f"unix:{instance.store_socket}", "--first", documents + first,
          "--documents", changed, "--size", DOCUMENT_BYTES)
    await_idle(data)
    new_bytes = sum(size for path, size in files_below(data).items()
                    if before.get(path) != size)
    for tool in tools:
        samples.add(f"{tool.name} changed", tool.back_up(data))
        if tool.name == "holdfast":
            samples.add("bytes sent / new bytes", tool.bytes_sent() / max(1, new_bytes))

    for tool in tools:
        target = folder / f"restored-{tool.name}"
        os.sync()
        samples.add(f"{tool.name} restore", tool.restore(target))
        if tool.name == "holdfast":
            samples.add("holdfast restore of files", tool.files_seconds)
        shutil.rmtree(target)
        samples.add(f"{tool.name} check", tool.check())
    tools[0].forget()
    for tool in tools[1:]:
        shutil.rmtree(tool.repository)


def add_backup_rows(table, samples, medium):
    median = samples.median
    cipher_seconds = median("data bytes") / median("cipher bytes/s")
    size = f"{median('data bytes') / 2**30:.2f} GiB, {medium}"

    def against(tool, work):
        return median(f"{tool} {work}") / median(f"holdfast {work}")

    if medium == "tmpfs":
        table.at_least("1", f"first backup, {size}", "× restic", against("restic", "first"), 5)
        table.at_least("1", f"first backup, {size}", "× borg", against("borg", "first"), 5)
        table.at_least("1", f"first backup, {size}", "× rate of one core's XChaCha20-Poly1305",
                       cipher_seconds / median("holdfast first"), 0.55)
    else:
        table.at_least("2", f"first backup, {size}", "× `cp` and `sync`",
                       median("cp first") / median("holdfast first"), 0.6)
        engine = {threads: median(f"backup engine, threads {threads}, first")
                  for threads in (1, 2, 4)}
        best = min(engine, key=engine.get)
        table.at_least("2", f"first backup, {size}", "× BackupEngine as it comes",
                       engine[1] / median("holdfast first"), 2)
        table.at_least("2", f"first backup, {size}", f"× BackupEngine with {best} threads",
                       engine[best] / median("holdfast first"), 0.6)
    table.at_most("3", f"nothing changed, {size}", "of restic's time",
                  1 / against("restic", "unchanged"), 0.1)
    table.at_most("3", f"nothing changed, {size}", "seconds", median("holdfast unchanged"), 0.06)
    table.at_most("4", f"1 % of the documents added, {size}", "of restic's time",
                  1 / against("restic", "changed"), 0.2)
    table.at_most("4", f"1 % of the documents added, {size}", "bytes sent / bytes of new files",
                  median("bytes sent / new bytes"), 1.05)
    if medium == "tmpfs":
        table.at_least("5", f"restore, all files verified, {size}", "× restic",
                       median("restic restore") / median("holdfast restore of files"), 3)
        table.at_least("5", f"restore, all files verified, {size}", "× borg",
                       median("borg restore") / median("holdfast restore of files"), 3)
        table.at_least("5", f"restore, all files verified, {size}",
                       "× rate of one core's XChaCha20-Poly1305",
                       cipher_seconds / median("holdfast restore of files"), 0.5)
    table.at_least("5b", f"restore with proof of every document, {size}", "× restic",
                   against("restic", "restore"), 1.5)
    table.at_least("5b", f"restore with proof of every document, {size}",
                   "× rate of one core's XChaCha20-Poly1305",
                   cipher_seconds / median("holdfast restore"), 0.3)
    table.at_least("6", f"check --read-data, {size}", "× restic", against("restic", "check"), 2)
    table.at_most("7", f"first backup, {size}", "agent's peak memory, MiB",
                  median("agent's peak MiB"), 64)


# --- The store beside etcd --------------------------------------------------------------------


@contextlib.contextmanager
def etcd_serving(folder):
    """A single etcd, as it comes, with its data in `folder`; yields its address."""
    data = folder / "etcd"
    # etcd takes no free port by itself: a number that the kernel gave just now.
    with socket.socket() as probe, socket.socket() as peer_probe:
        probe.bind(("127.0.0.1", 0))
        peer_probe.bind(("127.0.0.1", 0))
        port, peer_port = probe.getsockname()[1], peer_probe.getsockname()[1]
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    with open(folder / "etcd.log", "wb") as log_file, subprocess.Popen(
            ["etcd", "--data-dir", data, "--listen-client-urls", url, "--advertise-client-urls",
             url, "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
             "--initial-cluster", f"default={peer_url}", "--quota-backend-bytes", str(8 << 30)],
            stdout=log_file, stderr=log_file) as process:
        try:
            address = f"127.0.0.1:{port}"
            with harness.grpc.insecure_channel(address) as channel:
                harness.grpc.channel_ready_future(channel).result(timeout=60)
            yield address
        finally:
            process.terminate()
            process.wait()
    shutil.rmtree(data)


def measure_store(options, folder):
    """Puts and gets of both stores, and what encryption at rest costs ours."""
    samples = Samples()
    put_instances_into(folder)
    keys = options.keys
    common = ["--documents", keys, "--size", 1024]
    load = [*common, "--clients", 64, "--seconds", options.seconds]
    with harness.Instance() as instance, etcd_serving(folder) as etcd:
        instance.start()
        servers = {"holdfast": ["--holdfast", f"unix:{instance.store_socket}"],
                   "etcd": ["--etcd", etcd]}
        for server in servers.values():
            bench("fill", *server, *common)
        for repetition in range(options.repetitions):
            log(f"store: repetition {repetition + 1} of {options.repetitions}")
            for operation in ("put", "get"):
                for name, server in servers.items():
                    result = bench("load", *server, *load, "--operation", operation)
                    if result["failures"]:
                        raise RuntimeError(f"{name}: {result}")
                    samples.add(f"{name} {operation}/s", result["calls_per_second"])
                    samples.add(f"{name} {operation} p99 ms", result["p99_us"] / 1000)

        log("what encryption at rest costs the store")
        at_rest = folder / "at-rest"
        at_rest.mkdir()
        for name, value in bench("at-rest", at_rest, "--documents", options.at_rest_documents,
                                 "--size", 1024).items():
            samples.add(f"at rest, {name}", value)
        shutil.rmtree(at_rest)
    return samples


def measure_writes_during_backups(options, folder, other_folder):
    """What a backup costs those who write: with the destination on another medium, as it should
    be, and on the one that the store is on."""
    samples = Samples()
    put_instances_into(folder)
    for place, destination in (("elsewhere", other_folder / "backups"), ("same disk", None)):
        instance = harness.Instance()
        instance.destination = destination or instance.destination
        with instance:
            instance.start()
            server = ["--holdfast", f"unix:{instance.store_socket}"]
            bench("fill", *server, "--documents", options.keys, "--size", 1024)
            bench("fill", *server, "--first", options.keys, "--documents",
                  options.mebibytes * 256, "--size", DOCUMENT_BYTES)
            await_idle(instance.data_directory)
            load = [*server, "--documents", options.keys, "--size", 1024, "--clients", 64,
                    "--seconds", options.seconds, "--operation", "put"]
            peak = bench("load", *load)["calls_per_second"]
            for repetition in range(options.repetitions):
                log(f"destination {place}: repetition {repetition + 1} of {options.repetitions}")
                measure_during_backups(samples, instance, load, peak / 2, place)
    return samples


def measure_during_backups(samples, instance, load, rate, place):
    for name in ("without", "during"):
        ended = threading.Event()
        backups = threading.Thread(target=back_up_again_and_again, args=(instance, ended))
        if name == "during":
            backups.start()
        half = bench("load", *load, "--rate", rate)
        full = bench("load", *load)
        ended.set()
        if name == "during":
            backups.join()
        samples.add(f"{place}: p99 ms {name} backup", half["p99_us"] / 1000)
        samples.add(f"{place}: put/s {name} backup", full["calls_per_second"])


def back_up_again_and_again(instance, ended):
    """First backups, one after the other: each sends all that the store has."""
    tool = Holdfast(instance)
    while not ended.is_set():
        tool.prepare()
        tool.back_up(None)


def add_rows_of_writes_during_backups(table, samples):
    for place in ("elsewhere", "same disk"):
        table.at_most("8", f"writes at half the peak load, during first backups, {place}",
                      "p99 × that without a backup",
                      samples.median(f"{place}: p99 ms during backup")
                      / samples.median(f"{place}: p99 ms without backup"), 1.5)
        table.at_least("8", f"writes, during first backups, {place}",
                       "× throughput without a backup",
                       samples.median(f"{place}: put/s during backup")
                       / samples.median(f"{place}: put/s without backup"), 0.9)


def add_store_rows(table, samples):
    median = samples.median
    table.at_least("10", "durable puts, 64 clients, 1 KiB", "× etcd",
                   median("holdfast put/s") / median("etcd put/s"), 3)
    table.at_most("10", "durable puts, 64 clients, 1 KiB", "p99 × etcd's",
                  median("holdfast put p99 ms") / median("etcd put p99 ms"), 1)
    table.at_least("11", "gets, 64 clients, 1 KiB", "× etcd (serializable)",
                   median("holdfast get/s") / median("etcd get/s"), 3)
    for work, what in (("writes", "synced writes, 64 documents of 1 KiB each"),
                       ("writes_and_compactions", "the same, with flushes and compactions"),
                       ("cached_reads", "reads of 1 KiB from the block cache"),
                       ("reads", "reads of 1 KiB, most not in the block cache")):
        table.at_most("12", f"{what}, without RPC", "more time than without encryption at rest",
                      median(f"at rest, {work}"), 0.1)


# --- Many files -------------------------------------------------------------------------------

# Tables of three documents.
SMALL_TABLE = {"document_bytes": 1024, "table_bytes": 1024, "documents": 3}


class HostWatch:
    """Within it, the most memory that a process which the agent has started had at once."""

    def __init__(self, agent):
        self.agent = agent
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        children = [task / "children"
                    for task in pathlib.Path(f"/proc/{self.agent.popen.pid}/task").iterdir()]
        while not self._ended.wait(0.2):
            for child in children:
                # A process that has just ended has no memory, or no file any more.
                with contextlib.suppress(OSError, StopIteration):
                    for pid in child.read_text().split():
                        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                        line = next(line for line in lines if line.startswith("VmHWM:"))
                        self.peak_bytes = max(self.peak_bytes, int(line.split()[1]) * 1024)


def measure_many_files(options, folder):
    """What a run costs that has next to nothing to send, but many files to look at."""
    samples = Samples()
    put_instances_into(folder)
    with harness.Instance() as instance:
        instance.start_store()
        store = f"unix:{instance.store_socket}"
        documents = options.files * SMALL_TABLE["documents"]
        size = ["--size", SMALL_TABLE["document_bytes"]]
        bench("fill", "--holdfast", store, "--documents", documents, *size)
        instance.store.stop()
        tables = bench("split", instance.data_directory, "--key", instance.key_file,
                       "--table-size", SMALL_TABLE["table_bytes"])["tables"]
        instance.start_store()
        holdfast = Holdfast(instance)
        holdfast.prepare()
        samples.add("first", holdfast.back_up(None))
        for repetition in range(options.repetitions):
            bench("fill", "--holdfast", store, "--first", documents + repetition, "--documents", 1,
                  *size)
            await_idle(instance.data_directory)
            with HostWatch(instance.agent) as hosts:
                samples.add("one document added", holdfast.back_up(None))
            run_of_it = instance.runs()[0]
            samples.add("its run", (run_of_it.end_time.ToNanoseconds() -
                                    run_of_it.start_time.ToNanoseconds()) / 1e9)
            samples.add("files", run_of_it.files_total)
            samples.add("host's peak MiB", hosts.peak_bytes / 2**20)
        if not tables <= samples.median("files") <= tables + 20:
            raise RuntimeError(f"the store did not leave its {tables} tables as they were")
        samples.add("agent's peak MiB", instance.agent.peak_memory_bytes() / 2**20)
    return samples


def add_many_files_rows(table, samples):
    median = samples.median
    work = f"one document added, {median('files'):.0f} files"
    table.at_most("9", work, "seconds", median("one document added"), 2)
    table.at_most("9", work, "peak memory of the agent and its host, MiB",
                  median("agent's peak MiB") + median("host's peak MiB"), 128)


# --- All of it --------------------------------------------------------------------------------


def describe_machine():
    model = next((line.split(":")[1].strip()
                  for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "?")
    versions = {
        "restic": run("restic", "version").decode().split()[1],
        "borg": run("borg", "--version").decode().split()[1],
        "etcd": run("etcd", "--version").decode().split()[2],
    }
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "versions": versions}


@contextlib.contextmanager
def folder_in(parent):
    """A folder of its own, short enough for sockets, that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="hfb", dir=parent) as folder:
        yield pathlib.Path(folder)


GROUPS = ["backup-tmpfs", "backup-disk", "writes-during-backups", "store", "many-files"]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help=f"{', '.join(GROUPS)}; all where none is named")
    parser.add_argument("--quick", action="store_true",
                        help="256 MiB, 2 repetitions: rough, for whoever works on the speed")
    parser.add_argument("--mebibytes", type=int, help="how large the store is; 2048")
    parser.add_argument("--repetitions", type=int, help="5")
    parser.add_argument("--seconds", type=float, help="how long a load lasts; 10")
    parser.add_argument("--disk", default="/var/tmp", help="a folder on a disk; /var/tmp")
    parser.add_argument("--tmpfs", default="/dev/shm", help="a folder on a tmpfs; /dev/shm")
    parser.add_argument("--output", type=pathlib.Path,
                        help="a folder that results.json and RESULTS.md are written to; what they "
                        "say of other groups stays")
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    options.groups = options.groups or GROUPS
    options.mebibytes = options.mebibytes or (256 if options.quick else 2048)
    options.repetitions = options.repetitions or (2 if options.quick else 5)
    options.seconds = options.seconds or (3 if options.quick else 10)
    options.files = 5_000 if options.quick else 50_000
    options.keys = 20_000 if options.quick else 200_000
    options.at_rest_documents = 65_536 if options.quick else 262_144
    return options


def measure_group(group, options, table):
    if group == "store":
        with folder_in(options.disk) as folder:
            samples = measure_store(options, folder)
        add_store_rows(table, samples)
    elif group == "writes-during-backups":
        with folder_in(options.disk) as folder, folder_in(options.tmpfs) as other_folder:
            samples = measure_writes_during_backups(options, folder, other_folder)
        add_rows_of_writes_during_backups(table, samples)
    elif group == "many-files":
        with folder_in(options.tmpfs) as folder:
            samples = measure_many_files(options, folder)
        add_many_files_rows(table, samples)
    else:
        medium = group.split("-")[1]
        with folder_in(getattr(options, medium)) as folder:
            samples = measure_backups(options, medium, folder)
        add_backup_rows(table, samples, medium)
    return samples


def main():
    options = parse_arguments()
    for group in options.groups:
        table = Table()
        samples = measure_group(group, options, table)
        print(table.to_markdown(), flush=True)
        if options.output:
            keep_results(options, group, table, samples)


def keep_results(options, group, table, samples):
    """Puts the group into results.json, in the place of what was there, and renders all of that."""
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "results.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results[group] = {
        "date": time.strftime("%Y-%m-%d"), "machine": describe_machine(),
        "mebibytes": options.mebibytes, "repetitions": options.repetitions, "rows": table.rows,
        "figures": samples.values}
    path.write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "RESULTS.md").write_text("# Results\n\nMedians; ratios within one run.\n" +
                                               "".join(render(name, results[name])
                                                       for name in GROUPS if name in results))


def render(group, result):
    machine = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (f"\n## {group}\n\n{result['date']}, {machine['cores']} cores of {machine['cpu']}, "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}; {versions}. "
            f"{result['repetitions']} repetitions.\n\n{Table(result['rows']).to_markdown()}")


if __name__ == "__main__":
    main()
