"""The page for the browser, in one piece: what it loads from elsewhere is nothing."""

import base64
import hashlib
from pathlib import Path

_HERE = Path(__file__).parent


def read() -> tuple[bytes, str]:
    """The page, and the policy by which a browser runs its script, applies its styles and nothing else."""
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    page = page.replace("/* page.css */", style).replace("/* page.js */", script)
    policy = (
        "default-src 'none'",
        f"script-src {_digest(script)}",
        f"style-src {_digest(style)}",
        "img-src blob: data:",  # the image that was chosen, and an empty icon
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",  # texts of strangers never become markup
    )
    return page.encode(), "; ".join(policy)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
