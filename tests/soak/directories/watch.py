"""What a command does that a stranger's directory gives no reason for: programs, connections, files elsewhere."""

import json
import os
import socket
from typing import Any

from trainer.run.project import QUESTION

HANDED_ON = 20  # of what was noted
# They start programs, connect, or give others a right.
NEVER = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.forkpty", "subprocess.Popen"),
    *("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"),
    *("urllib.Request", "ftplib.connect", "http.client.connect", "webbrowser.open", "os.chown", "os.setxattr"),
)
# They change what is at a path, which is at this place of their arguments, with its directory's handle at that one.
CHANGES = {
    "os.mkdir": ((0, 2),),
    "os.rmdir": ((0, 1),),
    "os.remove": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.chmod": ((0, 2),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}


class Watch:
    """Notes what a command does that it has no need of, in a file."""

    def __init__(self) -> None:
        self.on = False

    def begin(self, order: dict[str, Any]) -> None:
        """Watch a command, which may write below the paths in `inside`, and read nothing of those in `private`."""
        self.inside, self.private, self.notes = order["inside"], order["private"], order["notes"]
        self.count, self.on = 0, True

    def end(self) -> None:
        """Watch no more."""
        self.on = False

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._opened(*args)
        elif event in CHANGES:
            for path, handle in CHANGES[event]:
                if not self._allowed(_resolved(args[path], -1 if handle is None else args[handle], follow=False)):
                    self.note(f"{event} {args[path]!r}")
        elif (
            event in NEVER and not (event.startswith("socket") and _to_workers(args[0])) and not _asks_git(event, args)
        ):
            self.note(f"{event} {args!r}")
            raise PermissionError(f"{event} is not for a stranger's directory")

    def _opened(self, path: Any, mode: Any, flags: int) -> None:
        if not isinstance(path, str | bytes | os.PathLike):
            return
        # Of a name within an open directory nothing more is known here; the arena looks for what has changed.
        name = os.fsdecode(path)
        if not os.path.isabs(name) and ".." not in name:
            return
        place = _resolved(name, -1, follow=not flags & os.O_NOFOLLOW)
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and not self._allowed(place):
            self.note(f"open for writing {name!r}")
        if within(place, self.private) and os.path.isfile(place):
            self.note(f"open {name!r}")

    def _allowed(self, place: str) -> bool:
        return place == os.devnull or within(place, self.inside)

    def note(self, text: str) -> None:
        """Write down what was done."""
        self.count += 1
        if self.count <= HANDED_ON:
            on, self.on = self.on, False
            with open(self.notes, "a") as file:
                file.write(json.dumps(text[:300]) + "\n")
            self.on = on


def _to_workers(of: Any) -> bool:
    """Whether it is a socket of this machine's, by which a process talks to its workers."""
    return isinstance(of, socket.socket) and of.family == socket.AF_UNIX


def _asks_git(event: str, args: tuple[Any, ...]) -> bool:
    """Whether it is the one question of trainer's own, in which nothing of a file stands."""
    return event == "subprocess.Popen" and list(args[1]) == ["sh", "-c", QUESTION]


def within(place: str, folders: list[str]) -> bool:
    """Whether a path is one of the folders, or below one."""
    return any(place == folder or place.startswith(folder + os.sep) for folder in folders)


def _resolved(path: Any, handle: int, follow: bool) -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")
    name = os.fsdecode(path)
    if handle is not None and handle >= 0 and not os.path.isabs(name):
        name = os.path.join(os.readlink(f"/proc/self/fd/{handle}"), name)
    if follow:
        return os.path.realpath(name)
    parent, last = os.path.split(name.rstrip(os.sep))
    return os.path.join(os.path.realpath(parent or "."), last)
