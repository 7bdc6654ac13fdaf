"""The app's addresses, and the server that answers them on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import catalog
from ..core.errors import EstimateError, SpecError, TrainsimError
from ..core.version import __version__
from ..report.page import script, stylesheet
from .answers import answer_of, report_of
from .inputs import errors_of, files_of
from .jobs import Jobs, Report, Stopped
from .question import FIELDS, MORE, Question, field_of, read_question

if TYPE_CHECKING:
    from flask import Flask, Request, Response

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Host names under which a browser may reach this machine."""
PORT = 8765
"""Port that the app listens on."""
PROMPT = 0.5
"""Longest wait for an answer before a page with the progress is shown [s]."""
LONGEST = 80_000
"""Largest length of an address [B]; a pasted config is part of it."""
POLICY = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Content security policy of a page: only its own style and script, and requests to the app."""
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip
EXAMPLES = (
    ("Hours and dollars of a 7B on 512 H100", Question(model="7B", chip="h100", gpus="512", tokens="2T")),
    ("DeepSeek-V3, and its “$6M”", Question(model="deepseek-v3", claim="6M", told_as="the cost of training it", date="2024-12-26")),
    (
        "Is $4.6M plausible for Kimi K2?",
        Question(model="kimi-k2", chip="h800", gpus="2048", tokens="15.5T", claim="4.6M", told_as="the cost of training K2"),
    ),
)
"""Example questions on the first page."""
Answerer = Callable[[Question, Path | None, Report], Any]


@dataclass(frozen=True)
class ShownError:
    """An error as the page shows it.

    Args:
        field: name of the input that the error is about; empty for none.
        label: the input's label, or the error's path.
        value, rule, remedy: as of the error.
    """

    field: str
    label: str
    value: str
    rule: str
    remedy: str


def shown_error(error: TrainsimError, asked: Question) -> ShownError:
    """An error in the words of the page."""
    name = field_of(error, asked)
    labels = {one.name: one.label for one in FIELDS}
    value = "" if error.value in (None, "") else str(error.value)
    return ShownError(name, labels.get(name, error.path), value if len(value) <= 80 else f"{value[:60]} …", error.rule, error.remedy)


def make_app(folder: Path | None = None, *, hosts: Iterable[str] = LOOPBACK, answer: Answerer = answer_of) -> Flask:
    """The app as a WSGI application, for a server or a test.

    Args:
        folder: the only folder that files are read from; None for none.
        hosts: accepted host names; requests under other names are refused, so that no other site can reach the app through its own name.
        answer: answers a question.

    Raises:
        EstimateError: flask is not installed.
    """
    try:
        from flask import Flask
    except ImportError:
        raise EstimateError("app", "flask", "is not installed", "pip install 'trainsim[app]'", "not-installed") from None
    app = Flask(__name__, static_folder=None)
    app.config.update(TRUSTED_HOSTS=list(hosts), MAX_CONTENT_LENGTH=1024)
    app.jinja_env.filters["exact"] = repr
    app.jinja_env.trim_blocks = True
    app.extensions["trainsim"] = _Pages(folder, Jobs(), answer)
    pages: _Pages = app.extensions["trainsim"]
    app.before_request(_refuse)
    app.after_request(_with_headers)
    for address, view in (("/", pages.question), ("/stopped", pages.stopped), ("/answer", pages.answered), ("/report", pages.reported),
                          ("/progress", pages.progress), ("/style.css", pages.style), ("/script.js", pages.script)):  # fmt: skip
        app.add_url_rule(address, view_func=view, methods=["GET"])
    app.add_url_rule("/stop", view_func=pages.stop, methods=["POST"])
    app.register_error_handler(Exception, pages.failed)
    return app


def _refuse() -> None:
    """Refuse addresses that are too long, and requests from pages of other sites."""
    from flask import abort, request

    if len(request.query_string) > LONGEST:
        abort(414)
    opened = request.method == "GET" and request.headers.get("Sec-Fetch-Dest", "document") == "document"
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not opened:
        abort(403)
    if request.method == "POST" and request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        abort(403)


def _with_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    return response


class _Pages:
    """The views of the app.

    Args:
        folder: the only folder that files are read from; None for none.
        jobs: the questions being computed.
        answer: answers a question.
    """

    def __init__(self, folder: Path | None, jobs: Jobs, answer: Answerer) -> None:
        self.folder, self.jobs = folder, jobs
        self.work: dict[str, Answerer] = {"/answer": answer, "/report": report_of}

    def question(self) -> Any:
        """The form, filled in from the URL."""
        from flask import request

        asked, errors = read_question(_pairs(request))
        return self._page(asked, errors, state="question")

    def stopped(self) -> Any:
        """The form of a stopped question."""
        from flask import request

        asked, errors = read_question(_pairs(request))
        return self._page(asked, errors, state="stopped", title="Stopped", lead="Nothing was lost: change the question, or ask it again.")

    def answered(self) -> Any:
        """The answer to the question in the URL, or its progress."""
        return self._asked("/answer")

    def reported(self) -> Any:
        """The run of the question in the URL as one file."""
        return self._asked("/report")

    def _asked(self, path: str) -> Any:
        from flask import redirect, request

        asked, errors = read_question(_pairs(request))
        errors += tuple(e for e in errors_of(asked, self.folder) if field_of(e, asked) not in {field_of(one, asked) for one in errors})
        if errors:
            return self._page(asked, errors, state="question"), 422
        if request.query_string.decode("ascii", "replace") != asked.address:
            return redirect(f"{path}?{asked.address}", 303)
        try:
            job = self.jobs.job((path, asked), partial(self.work[path], asked, self.folder))
            if not job.finished(PROMPT):
                return self._page(asked, (), state="working", path=path, progress=job.progress, title="Working on it")
            found = job.future.result()
        except TrainsimError as error:
            return self._page(asked, (error,), state="question"), 422
        except Stopped:
            return redirect(f"/stopped?{asked.address}", 303)
        if isinstance(found, str):
            return found
        return self._page(asked, found.errors, state="answer", answer=found, title=found.title)

    def progress(self) -> Any:
        """Progress of a question, for the page that waits for the answer."""
        from flask import request

        path, asked = _job_of(request)
        job = self.jobs.find((path, asked))
        state = "none" if job is None else "done" if job.finished() else "working"
        return {"state": state} | ({} if job is None else asdict(job.progress))

    def stop(self) -> Any:
        """Stop a question."""
        from flask import redirect, request

        path, asked = _job_of(request)
        self.jobs.stop((path, asked))
        return redirect(f"/stopped?{asked.address}", 303)

    def style(self) -> Any:
        """The report's style and the page's own."""
        return stylesheet() + _asset("app.css"), {"Content-Type": "text/css; charset=utf-8"}

    def script(self) -> Any:
        """The report's script and the page's own."""
        return script() + _asset("app.js"), {"Content-Type": "text/javascript; charset=utf-8"}

    def failed(self, error: Exception) -> Any:
        """A page with an error in one sentence."""
        from flask import current_app
        from werkzeug.exceptions import HTTPException

        if isinstance(error, HTTPException):
            code = error.code or 500
            sentence = {403: "Another site asked for this page; open it from its own address.", 404: "There is no such page.",
                        405: "This page is opened, not sent to.", 413: "That is longer than any question.",
                        414: "This address is longer than any question; start the app with --folder, and name the file."}  # fmt: skip
            title = sentence.get(code, f"{error.description}")
        else:
            current_app.logger.error("an answer failed", exc_info=error)
            code, title = 500, f"The app failed ({type(error).__name__}); this is a defect of trainsim."
        return self._page(Question(), (), state="failed", title=title), code

    def _page(self, asked: Question, errors: Iterable[TrainsimError], *, state: str, **more: Any) -> str:
        from flask import render_template

        shown = tuple(shown_error(error, asked) for error in errors)
        hidden = () if self.folder is not None else ("file",)
        fields = [one for one in FIELDS if one.name not in hidden or getattr(asked, one.name)]
        groups = [(group, [one for one in fields if one.group == group]) for group in dict.fromkeys(one.group for one in fields)]
        folded = {group: group == MORE and not any(getattr(asked, one.name) for one in inputs) for group, inputs in groups}
        listed = {"models": catalog.models(), "chips": (*catalog.chips(), *catalog.clusters()), "files": files_of(self.folder)}
        page: str = render_template(
            "page.html",
            **{
                "title": "What will training it cost?", "asked": asked, "errors": shown, "state": state,
                "groups": [(group, inputs, folded[group]) for group, inputs in groups], "listed": listed,
                "errors_at": {one.name: [e for e in shown if e.field == one.name and state != "answer"] for one in FIELDS},
                "version": __version__, "examples": [(words, question.address) for words, question in EXAMPLES], **more,
            },
        )  # fmt: skip
        return page


def _pairs(request: Request) -> list[tuple[str, str]]:
    return list(request.args.items(multi=True))


def _job_of(request: Request) -> tuple[str, Question]:
    """The job that a request for progress, or to stop, is about."""
    pairs = _pairs(request)
    return dict(pairs).get("for", "/answer"), read_question(pair for pair in pairs if pair[0] != "for")[0]


def _asset(name: str) -> str:
    return (files(__package__ or "") / "assets" / name).read_text(encoding="utf-8")


def serve(folder: Path | None, *, host: str = LOOPBACK[0], port: int = PORT, started: Callable[[str], None]) -> None:
    """Serve the app until it is interrupted.

    Args:
        folder: the only folder that files are read from; None for none.
        host: the address to listen on; only this machine can reach the default.
        port: the port to listen on; 0 for a free one.
        started: called with the app's address once it listens.

    Raises:
        EstimateError: flask or waitress is not installed.
        SpecError: no such folder, or the port is in use.
    """
    if folder is not None and not folder.is_dir():
        raise SpecError("--folder", str(folder), "is not a folder", "give one that exists", "not-found")
    app = make_app(folder, hosts=(*LOOPBACK, host))
    try:
        from waitress import create_server
    except ImportError:
        raise EstimateError("app", "waitress", "is not installed", "pip install 'trainsim[app]'", "not-installed") from None
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        rule = f"can't be listened on at {host} ({error})"
        raise SpecError("--port", port, rule, "give another one, or 0 for any", "unreadable") from None
    most = {"max_request_header_size": LONGEST + 16_000, "max_request_body_size": 1024}
    server = create_server(app, sockets=[listening], ident=None, **most)
    started(f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}/")
    try:
        server.run()
    finally:
        app.extensions["trainsim"].jobs.close()
