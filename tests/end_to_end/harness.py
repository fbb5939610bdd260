"""Runs the real programs for the end-to-end tests: a store, an agent, the command line.

    with harness.Instance() as instance:
        instance.start_store()
        instance.start_agent()
        instance.holdfast("doc", "put", "users", "ada", stdin=b"{}")

Nothing is mocked, no port is used (unix sockets in a fresh folder), and nothing sleeps: readiness is
awaited through the standard gRPC health service. HOLDFAST_BUILD_DIR names the build to test.
"""

import contextlib
import importlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

import grpc

REPOSITORY_ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD_DIR = pathlib.Path(os.environ.get("HOLDFAST_BUILD_DIR", REPOSITORY_ROOT / "build" / "dev"))
STORE_PROGRAM = BUILD_DIR / "store-service" / "holdfast-store"
AGENT_PROGRAM = BUILD_DIR / "backup-agent" / "holdfast-agent"
HOLDFAST_PROGRAM = BUILD_DIR / "backup-agent" / "holdfast"
HOST_PROGRAM = BUILD_DIR / "backup-agent" / "holdfast-host"

# The exit codes that backup-agent/cli/README.md documents.
EXIT_OK, EXIT_OTHER, EXIT_USAGE, EXIT_NOT_FOUND = 0, 1, 2, 3
EXIT_REFUSED, EXIT_DAMAGED, EXIT_WRONG_KEY, EXIT_UNREACHABLE = 4, 5, 6, 7
EXIT_INTERRUPTED = 130

# How long anything may take before a test gives it up for stuck.
DEADLINE_SECONDS = 120


def _compile_protos():
    out = tempfile.mkdtemp(prefix="holdfast-protos-")
    root = REPOSITORY_ROOT / "proto"
    names = [f"holdfast/v1/{name}.proto"
             for name in ("document_store", "checkpoints", "backup_agent")]
    subprocess.run(
        ["protoc", "-I", root, f"--python_out={out}", f"--grpc_python_out={out}",
         f"--plugin=protoc-gen-grpc_python={shutil.which('grpc_python_plugin')}", *names],
        check=True)
    sys.path.insert(0, out)
    try:
        return [importlib.import_module(name[:-len(".proto")].replace("/", ".") + suffix)
                for name in names for suffix in ("_pb2", "_pb2_grpc")]
    finally:
        sys.path.remove(out)
        shutil.rmtree(out)


(documents_pb2, documents_grpc, checkpoints_pb2, checkpoints_grpc, agent_pb2,
 agent_grpc) = _compile_protos()


class Result:
    """What a program left."""

    def __init__(self, completed):
        self.exit_code = completed.returncode
        self.stdout = completed.stdout
        self.stderr = completed.stderr.decode(errors="replace")

    @property
    def json(self):
        return json.loads(self.stdout)

    def __repr__(self):
        return (f"exit code {self.exit_code}\n--- stdout\n{self.stdout[-4000:]!r}\n"
                f"--- stderr\n{self.stderr[-4000:]}")


class Process:
    """A service that runs in the background until it is stopped or killed."""

    def __init__(self, program, config, log_path, socket):
        self.log_path = log_path
        self._log = open(log_path, "ab")
        self.popen = subprocess.Popen([program, "--config", config], stdin=subprocess.DEVNULL,
                                      stdout=self._log, stderr=self._log)
        self.socket = socket

    def await_ready(self):
        """Returns once the service serves; fails with its log if it ends before."""
        health = b""  # grpc.health.v1.HealthCheckRequest for the server as a whole
        with grpc.insecure_channel(f"unix:{self.socket}", options=[
                ("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20),
                ("grpc.max_reconnect_backoff_ms", 100)]) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            for _ in range(DEADLINE_SECONDS):
                if self.popen.poll() is not None:
                    raise AssertionError(f"{self.popen.args[0]} ended with exit code "
                                         f"{self.popen.returncode}:\n{self.log()}")
                try:
                    if check(health, timeout=1, wait_for_ready=True) == b"\x08\x01":
                        return self
                except grpc.RpcError:
                    pass
        raise AssertionError(f"{self.popen.args[0]} does not get ready:\n{self.log()}")

    def log(self):
        return pathlib.Path(self.log_path).read_text(errors="replace")

    def stop(self):
        """SIGTERM; returns the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        """SIGKILL: nothing is tidied up."""
        self.popen.kill()
        self.wait()

    def wait(self):
        try:
            code = self.popen.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"{self.popen.args[0]} did not end:\n{self.log()}") from None
        finally:
            self._log.close()
        return code

    def peak_memory_bytes(self):
        for line in pathlib.Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")


class Instance:
    """One installation in a fresh folder: `holdfast init` has been run."""

    def __init__(self, *init_arguments, directory=None):
        self._folder = tempfile.TemporaryDirectory(prefix="hf-")
        self.root = pathlib.Path(self._folder.name)
        self.home = self.root / "h"
        self.destination = self.root / "backups"
        self.store = None
        self.agent = None
        self._init_arguments = init_arguments

    def __enter__(self):
        self.init_result = self.run(HOLDFAST_PROGRAM, "init", "--directory", self.home,
                                    "--destination", f"file://{self.destination}",
                                    *self._init_arguments)
        assert self.init_result.exit_code == EXIT_OK, self.init_result
        return self

    def __exit__(self, *_):
        for process in (self.agent, self.store):
            if process and process.popen.poll() is None:
                process.kill()
        self._folder.cleanup()

    @property
    def config(self):
        return self.home / "holdfast.toml"

    @property
    def key_file(self):
        return self.home / "master.key"

    @property
    def data_directory(self):
        return self.home / "store"

    @property
    def store_socket(self):
        return self.home / "run" / "store" / "store.sock"

    @property
    def agent_socket(self):
        return self.home / "run" / "agent" / "agent.sock"

    def run(self, program, *arguments, stdin=b"", env=None):
        return Result(subprocess.run([program, *arguments], input=stdin, capture_output=True,
                                     timeout=DEADLINE_SECONDS * 5, check=False,
                                     env={**os.environ, **(env or {})}))

    def holdfast(self, *arguments, stdin=b"", expect=EXIT_OK):
        """Runs the command line with this instance's configuration."""
        result = self.run(HOLDFAST_PROGRAM, "--config", self.config, *arguments, stdin=stdin)
        assert expect is None or result.exit_code == expect, (arguments, result)
        return result

    def start_store(self):
        self.store = Process(STORE_PROGRAM, self.config, self.root / "store.log",
                             self.store_socket).await_ready()
        return self.store

    def start_agent(self):
        self.agent = Process(AGENT_PROGRAM, self.config, self.root / "agent.log",
                             self.agent_socket).await_ready()
        return self.agent

    def start(self):
        self.start_store()
        self.start_agent()
        return self

    @contextlib.contextmanager
    def _channel(self, socket):
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            yield channel

    @contextlib.contextmanager
    def documents(self):
        with self._channel(self.store_socket) as channel:
            yield documents_grpc.DocumentStoreStub(channel)

    @contextlib.contextmanager
    def checkpoints(self):
        with self._channel(self.store_socket) as channel:
            yield checkpoints_grpc.CheckpointsStub(channel)

    @contextlib.contextmanager
    def backup_agent(self):
        with self._channel(self.agent_socket) as channel:
            yield agent_grpc.BackupAgentStub(channel)

    def backup_now(self):
        """Takes a backup; returns its id."""
        return self.holdfast("backup", "now", "--json").json["backup"]["backup_id"]

    def runs(self):
        """The runs of the store, newest first."""
        with self.backup_agent() as agent:
            return list(agent.ListRuns(agent_pb2.ListRunsRequest()).runs)

    def export(self):
        """All documents as JSON lines, with revisions and times."""
        return self.holdfast("doc", "export").stdout

    def restore(self, target, *arguments, expect=EXIT_OK, key=None):
        """Restores with nothing but the destination and the key."""
        return self.run_restore(target, key or self.key_file, *arguments, expect=expect)

    def run_restore(self, target, key, *arguments, expect=EXIT_OK):
        result = self.run(HOLDFAST_PROGRAM, "restore", "--from", f"file://{self.destination}",
                          "--key", key, "--to", target, *arguments)
        assert expect is None or result.exit_code == expect, (arguments, result)
        return result

    @contextlib.contextmanager
    def serving(self, data_directory):
        """Serves a restored data directory; yields an Instance-like for it."""
        served = Served(self, data_directory)
        try:
            served.start_store()
            yield served
        finally:
            if served.store and served.store.popen.poll() is None:
                served.store.kill()

    def repository_files(self):
        """The files of the repository, as paths relative to the destination."""
        return sorted(str(path.relative_to(self.destination))
                      for path in self.destination.rglob("*") if path.is_file())


class Served(Instance):
    """A store that serves a restored data directory."""

    def __init__(self, origin, data_directory):  # pylint: disable=super-init-not-called
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="s", dir=origin.root))
        self.home = self.root
        self.store = None
        self.agent = None
        self.config.write_text(f'master_key = "{origin.key_file}"\n[store]\n'
                               f'data_directory = "{data_directory}"\n'
                               f'socket = "{self.store_socket}"\n')


def main():
    unittest.main(verbosity=2)
