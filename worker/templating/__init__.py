"""templates/ -> words. docs/templates.md is the page for those who write them."""

from worker.templating.proofs import Preview, check, preview
from worker.templating.rendering import Rendered, Templates

__all__ = ["Preview", "Rendered", "Templates", "check", "preview"]
