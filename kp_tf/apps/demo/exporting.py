"""The newest network of a project as a page without a server, by `kp-tf export` in a process of its own."""

import subprocess
from collections.abc import Sequence

from kp_tf.apps.demo.processes import ERROR, PROGRAM, environment, last_words
from kp_tf.apps.demo.project import RUNS, SITE, Project
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.core.errors import KpError


class ExportService:
    """Answers the page's request for such a page."""

    def __init__(self, project: Project, proposals: Proposals, command: Sequence[str] = (*PROGRAM, "export")) -> None:
        """Export with a command, to which its options are added."""
        self._project, self._proposals, self._command = project, proposals, command

    def export(self, content: bytes) -> dict:
        """Write the page into the folder `site` of the project, in place of an earlier one.

        Returns:
            The name of the network, the path of the folder, and its size in bytes.

        Raises:
            KpError: if there is no network, or the page cannot be written.
        """
        runs = self._proposals.runs(self._project)
        if not runs:
            raise KpError("the project has no network yet; train one first")
        options = ["--to", "web", "--run", f"{RUNS}/{runs[0]}", "--out", SITE, f"--title={self._project.folder.name}"]
        done = subprocess.run(
            [*self._command, *options],
            cwd=self._project.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            said = last_words(done.stderr) or f"exit status {done.returncode}"
            raise KpError(f"the page was not made: {said.removeprefix(ERROR)}")
        folder = self._project.folder / SITE
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return {"network": runs[0], "folder": str(folder), "size": size}
