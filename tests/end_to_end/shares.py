"""Real network shares on loopback, for the end-to-end tests: a server, a mount of it, a small disk.

    with shares.Sshd(folder) as server, server.mount_sshfs(mount_point) as mount:
        ...
        server.stop_signal()   # the share hangs, as one whose server is gone
        server.cont_signal()

Everything is started as root on 127.0.0.1, on ports that are free, from configurations in a fresh
folder; the services of the system are neither used nor needed. (Only /run/sshd is made, which sshd
insists on.) Whatever a test leaves behind is ended with its `with`: mounts are detached even when
they hang, and processes are killed by their ids.

Never touch a mount that hangs from the test itself: the call would hang as well.
"""

import contextlib
import ctypes
import os
import pathlib
import select
import signal
import socket
import subprocess
import tempfile

DEADLINE_SECONDS = 30

USER = "root"
SMB_PASSWORD = "share-of-the-test"

_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_RDONLY, _MS_REMOUNT, _MNT_DETACH = 1, 32, 2


def free_port():
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def require_fuse():
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        raise AssertionError("this test mounts shares by FUSE, which is not available here: "
                             f"{error}. Run it as root where /dev/fuse exists") from error


def is_mounted(target):
    """Whether something is mounted there. Asks the kernel, never the share."""
    return mount_type(target) is not None


def mount_type(target):
    """The file system type of what is mounted there ("fuse.sshfs"), or None."""
    found = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if fields[4].encode().decode("unicode_escape") == str(target):
            found = fields[fields.index("-") + 1]
    return found


def detach(target):
    """Unmounts, also what hangs or is in use: it is gone from the tree at once."""
    while is_mounted(target):
        if _LIBC.umount2(os.fsencode(target), _MNT_DETACH) != 0:
            raise OSError(ctypes.get_errno(), f"umount {target}")


def process_tree(pid):
    """The process and all that descend from it, parents first."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text()
                parents[int(entry.name)] = int(stat[stat.rindex(")") + 2:].split()[1])
    tree = [pid] if pid in parents else []
    for parent in tree:
        tree += [child for child, its_parent in parents.items() if its_parent == parent]
    return tree


def processes_with(*texts):
    """The processes whose command lines hold all of these."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                arguments = (entry / "cmdline").read_text(errors="replace")
                if all(text in arguments for text in texts):
                    found.append(int(entry.name))
    return found


def waits_for_a_mount(pid):
    """Whether a thread of the process waits for the answer of a FUSE mount."""
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/wchan"):
        with contextlib.suppress(OSError):
            if task.read_text() in ("request_wait_answer", "fuse_simple_request"):
                return True
    return False


class _Background:
    """A program that runs until it is killed, with all processes that it makes."""

    def __init__(self, arguments, log_path, program=None):
        self.log_path = pathlib.Path(log_path)
        arguments = [str(argument) for argument in arguments]
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen([program or arguments[0], *arguments[1:]],
                                          executable=arguments[0], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log)

    @property
    def pids(self):
        return process_tree(self.popen.pid)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_running(self):
        """False once it has ended. Waits a moment, so it may be called in a loop."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(0.02)
        return self.popen.poll() is None

    def check_running(self):
        if not self.is_running():
            raise AssertionError(f"{self.popen.args} ended with exit code {self.popen.returncode}:"
                                 f"\n{self.log()}")

    def signal(self, number):
        """Parents first; children that they made meanwhile too."""
        done = set()
        while True:
            new = [pid for pid in self.pids if pid not in done]
            if not new:
                return
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                done.add(pid)

    def kill(self):
        if self.popen.poll() is None:
            self.signal(signal.SIGSTOP)  # so that nobody leaves the tree before he is killed
            for pid in self.pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.popen.wait(DEADLINE_SECONDS)


class _Server:
    """A server of a folder. `with` starts and ends it; between, it can be killed and started."""

    def __init__(self, folder, read_only=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.read_only = read_only
        self.port = free_port()
        self._private = tempfile.TemporaryDirectory(prefix="hf-share-")
        self.private = pathlib.Path(self._private.name)
        self.process = None

    def _prepare(self):
        """Makes what lives as long as this does; called once."""
        raise NotImplementedError

    def _write_config(self):
        raise NotImplementedError

    def _command(self):
        raise NotImplementedError

    def __enter__(self):
        try:
            self._prepare()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process:
            self.process.kill()
        self._private.cleanup()

    @property
    def pids(self):
        """The server, and its sessions."""
        return self.process.pids

    def start(self):
        """Starts it, again on the same port. Returns once it accepts connections."""
        self._write_config()
        self.process = _Background(self._command(), self.private / "server.log")
        for _ in range(DEADLINE_SECONDS * 50):
            self.process.check_running()
            with contextlib.suppress(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", self.port), DEADLINE_SECONDS).close()
                return
        raise AssertionError(f"{self._command()} does not listen:\n{self.log()}")

    def stop_signal(self):
        """SIGSTOP: all that use it hang, and new connections get no answer."""
        self.process.signal(signal.SIGSTOP)

    def cont_signal(self):
        self.process.signal(signal.SIGCONT)

    def kill(self):
        """SIGKILL, with all sessions: connections break, and new ones are refused."""
        self.process.kill()

    def become_read_only(self):
        self.kill()
        self.read_only = True
        self.start()

    def log(self):
        return self.process.log()


class Sshd(_Server):
    """OpenSSH that serves a folder by SFTP, where each session begins, and nothing else.

    `read_only` refuses every change, as a share without the right to write does.
    """

    def _prepare(self):
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name,
                            "-f", self.private / name], check=True)
        (self.private / "authorized_keys").write_bytes(
            (self.private / "user_key.pub").read_bytes())
        host_key = (self.private / "host_key.pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host_key}")

    def _write_config(self):
        options = " -R" if self.read_only else ""
        self._config.write_text(f"""
            ListenAddress 127.0.0.1:{self.port}
            HostKey {self.private}/host_key
            PidFile none
            AuthorizedKeysFile {self.private}/authorized_keys
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            StrictModes no
            UsePAM no
            UseDNS no
            MaxStartups 100
            Subsystem sftp internal-sftp
            ForceCommand internal-sftp -d {self.folder}{options}
        """)

    @property
    def _config(self):
        return self.private / "sshd_config"

    @property
    def known_hosts(self):
        return self.private / "known_hosts"

    @property
    def user_key(self):
        return self.private / "user_key"

    def _command(self):
        return ["/usr/sbin/sshd", "-D", "-e", "-f", self._config]

    def mount_sshfs(self, target, server_alive_interval=15):
        """Mounts the folder with sshfs, as people do, and yields a Mount.

        A server that hangs is given up after three times `server_alive_interval` seconds; then
        sshfs connects again.
        """
        options = [
            "reconnect", f"ServerAliveInterval={server_alive_interval}", "ServerAliveCountMax=3",
            f"port={self.port}", f"IdentityFile={self.user_key}", "IdentitiesOnly=yes",
            f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=yes",
            "BatchMode=yes", "IdentityAgent=none",
        ]
        return Mount(["sshfs", "-f", "-F", "/dev/null", "-o", ",".join(options),
                      f"{USER}@127.0.0.1:{self.folder}", target], target)

    def rclone_config(self, remote="share"):
        """The text of an rclone configuration in which `<remote>:` is the folder."""
        return (f"[{remote}]\ntype = sftp\nhost = 127.0.0.1\nport = {self.port}\nuser = {USER}\n"
                f"key_file = {self.user_key}\nknown_hosts_file = {self.known_hosts}\n"
                "shell_type = none\ndisable_hashcheck = true\n")


class Samba(_Server):
    """smbd that serves a folder as the share `backups`, to one user with a password."""

    SHARE = "backups"

    def _prepare(self):
        for name in ("lock", "state", "cache", "pid", "ncalrpc", "keys"):
            (self.private / name).mkdir(mode=0o755)
        self._write_config()
        subprocess.run(["smbpasswd", "-c", self._config, "-a", "-s", USER],
                       input=f"{SMB_PASSWORD}\n{SMB_PASSWORD}\n".encode(), check=True,
                       capture_output=True)

    def _write_config(self):
        read_only = "yes" if self.read_only else "no"
        self._config.write_text(f"""
[global]
    server role = standalone server
    smb ports = {self.port}
    interfaces = 127.0.0.1/8
    bind interfaces only = yes
    disable netbios = yes
    private dir = {self.private}/keys
    lock directory = {self.private}/lock
    state directory = {self.private}/state
    cache directory = {self.private}/cache
    pid directory = {self.private}/pid
    ncalrpc dir = {self.private}/ncalrpc
    passdb backend = tdbsam:{self.private}/keys/passdb.tdb
    obey pam restrictions = no
    load printers = no
    disable spoolss = yes
    printcap name = /dev/null
    map to guest = never
[{self.SHARE}]
    path = {self.folder}
    read only = {read_only}
    valid users = {USER}
    force user = {USER}
""")

    @property
    def _config(self):
        return self.private / "smb.conf"

    def _command(self):
        return ["/usr/sbin/smbd", "--foreground", "--no-process-group", "--debug-stdout",
                f"--configfile={self._config}"]

    def rclone_config(self, remote="share"):
        """The text of an rclone configuration in which `<remote>:backups` is the folder."""
        obscured = subprocess.run(["rclone", "obscure", SMB_PASSWORD], check=True,
                                  capture_output=True, text=True).stdout.strip()
        return (f"[{remote}]\ntype = smb\nhost = 127.0.0.1\nport = {self.port}\nuser = {USER}\n"
                f"pass = {obscured}\n")

    def mount_rclone(self, target, vfs_cache_mode="off", arguments=(), program=None):
        """Mounts the share with `rclone mount`, and yields a Mount.

        `program` is what the process calls itself, if not rclone.
        """
        config = self.private / "rclone.conf"
        config.write_text(self.rclone_config())
        return Mount(["rclone", "mount", f"share:{self.SHARE}", target, "--config", config,
                      "--vfs-cache-mode", vfs_cache_mode,
                      "--cache-dir", self.private / "rclone-cache", *arguments], target, program)


class Mount:
    """A FUSE mount, by a program that runs in the foreground. `with` mounts and unmounts."""

    def __init__(self, arguments, target, program=None):
        self.target = pathlib.Path(target)
        self._arguments = arguments
        self._program = program
        self._private = tempfile.TemporaryDirectory(prefix="hf-mount-")
        self.process = None

    def __enter__(self):
        try:
            self.mount()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.vanish()
        self._private.cleanup()

    def mount(self):
        """Mounts it, again after it vanished. The target is made if need be."""
        require_fuse()
        self.target.mkdir(parents=True, exist_ok=True)
        self.process = _Background(self._arguments, pathlib.Path(self._private.name) / "mount.log",
                                   self._program)
        with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
            changes = select.poll()
            changes.register(mounts, select.POLLERR | select.POLLPRI)
            for _ in range(DEADLINE_SECONDS):
                if is_mounted(self.target):
                    os.stat(self.target)  # answers once it serves
                    return
                self.process.check_running()
                changes.poll(1000)
        raise AssertionError(f"{self._arguments} does not mount:\n{self.process.log()}")

    def lazy_unmount(self):
        """Takes it out of the tree, as `fusermount3 -u -z` does: open files live on."""
        detach(self.target)

    def vanish(self):
        """Unmounts it, and ends whatever still hangs in it with an error."""
        detach(self.target)
        if self.process:
            self.process.kill()

    def log(self):
        return self.process.log()


class Tmpfs:
    """A disk in memory of a few MiB. `with` mounts and unmounts it."""

    def __init__(self, target, mebibytes):
        self.target = pathlib.Path(target)
        self._mebibytes = mebibytes

    def __enter__(self):
        self.target.mkdir(parents=True, exist_ok=True)
        self.mount()
        return self

    def __exit__(self, *_):
        detach(self.target)

    def mount(self):
        """Mounts it, empty."""
        self._mount(0, f"size={self._mebibytes}m,mode=0700")

    def unmount(self):
        """What is in it is gone, once nobody has it open any more."""
        detach(self.target)

    def resize(self, mebibytes):
        self._mebibytes = mebibytes
        self._mount(_MS_REMOUNT, f"size={mebibytes}m")

    def set_read_only(self, read_only):
        """Remounts it. Fails while a file is open for writing."""
        self._mount(_MS_REMOUNT | (_MS_RDONLY if read_only else 0), f"size={self._mebibytes}m")

    def _mount(self, flags, options):
        if _LIBC.mount(b"holdfast-test", os.fsencode(self.target), b"tmpfs", flags,
                       options.encode()) != 0:
            raise OSError(ctypes.get_errno(), f"mount {self.target} {options}")
