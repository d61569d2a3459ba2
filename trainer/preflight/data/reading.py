"""What was passed over or cleaned up when the data were read."""

from collections.abc import Iterator

from trainer.preflight.finding import Finding
from trainer.preflight.subject import Subject
from trainer.system.shown import counted, shortened

ABOUT = "what was left out in reading"


def look(subject: Subject) -> Iterator[Finding]:
    """Say whether there were notes, and name the first file that could not be read."""
    data = subject.data
    if data.skipped:
        path, reason = data.skipped[0]
        found = f"{counted(len(data.skipped), 'file')} left out, the first: {shortened(path, 200)}: {reason}"
        yield Finding("reading", found, "repair or remove them; data.strict=true refuses any", wrong=True)
    else:
        yield Finding("reading", f"{counted(len(data.notes), 'note')} above" if data.notes else "nothing left out")
