"""What becomes of a task, recorded: the part's way from there, and what the deployment has shown by it."""

from taxiway.facts import Again, Delivered, Failed, Report, Seen
from taxiway.frozen import replace
from taxiway.jobs import Attempt
from taxiway.routing.itinerary import Leg, Mishap, next_leg
from taxiway.work import Work

_MISHAPS = {
    Again.ONCE: Mishap.FAILED_TWICE,
    Again.YES: Mishap.FAILED,
    Again.ELSEWHERE: Mishap.VENDOR_AWAY,
}


async def take_in(
    work: Work, attempt: Attempt, leg: Leg, report: Report, polls: int
) -> tuple[Attempt, Leg | None]:
    """Record what a task has come to. Returns the attempt after it, and where its part goes on, if it does."""
    onward = None
    match report:
        case Seen():
            berth = work.berth(attempt.part)
            if berth is not None:
                berth.seen(report.phase)
        case Delivered():
            report = replace(report, polls=polls, keep=work.shop.keeper is not None)
        case Failed():
            onward = _onward(work, attempt, leg, report)
            report = replace(report, polls=polls, again=onward is not None)
    job = await work.record(report)
    after = job.attempts[attempt.index]
    _tell(work, after, report)
    return after, onward


def _onward(work: Work, attempt: Attempt, leg: Leg, failed: Failed) -> Leg | None:
    """Return where a part goes on after a failed task: only if that one certainly cost nothing, or by consent."""
    mishap: Mishap
    if not failed.free and not work.can_pay(work.job.parts[attempt.part].microusd):
        return None  # what was charged has taken the money for another one
    if failed.error.code == "content_policy_violation":
        mishap = (
            Mishap.MODERATED
        )  # its fallbacks were set up by somebody who knows that a refusal may cost
    elif failed.retry is Again.NEVER or (not failed.free and not _pays_again(work)):
        return None
    else:
        mishap = _MISHAPS[failed.retry]
    return next_leg(mishap, leg, journey=work.journey(attempt.part), fleet=work.shop.fleet)


def _pays_again(work: Work) -> bool:
    wanted = work.job.policy.retry_charged
    return work.shop.settings.retry_charged if wanted is None else wanted


def _tell(work: Work, attempt: Attempt, report: Report) -> None:
    """Let the deployment's health and speed know what has become of its task."""
    berth = work.berth(attempt.part)
    if berth is None:
        return
    if isinstance(report, Delivered):
        begun_at, ended_at = attempt.submitted_at, attempt.finished_at
        took_s = None if begun_at is None or ended_at is None else max(0.0, ended_at - begun_at)
        berth.worked(took_s)
    elif isinstance(report, Failed) and report.error.code == "content_policy_violation":
        berth.worked()
    elif isinstance(report, Failed) and report.retry is not Again.NEVER:
        berth.failed(work.job.deadline_at - work.job.created_at)
