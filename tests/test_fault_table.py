"""Which test shows what becomes of a request when something breaks, and how many Runway tasks it buys.

One line for each thing that can go wrong. The tests stand in the chapters they belong to; a line whose test has
gone, or does not count the tasks, fails here.
"""

import ast
import importlib
import inspect
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that can go wrong."""

    number: int
    what: str
    tasks: str
    """How many Runway tasks one request buys."""
    shown_by: tuple[str, ...]
    """The tests, as `chapter::test[case]` or `chapter::Class::test`."""


def _passes(*cases: str) -> tuple[str, ...]:
    name = "test_failures::test_a_fault_on_the_way_costs_time_and_no_second_task"
    return tuple(f"{name}[{case}]" for case in cases)


def _ends(*cases: str) -> tuple[str, ...]:
    name = "test_failures::test_a_fault_for_good_ends_the_job_with_its_name_and_its_cost"
    return tuple(f"{name}[{case}]" for case in cases)


def _elsewhere(*cases: str) -> tuple[str, ...]:
    return tuple(f"test_fallbacks::test_an_image_is_made_elsewhere[{case}]" for case in cases)


_STUCK = "test_failures::test_a_task_that_never_ends_is_stopped_at_the_deadline"
_SDK = "test_idempotency::TestTheOfficialSdk::"

TABLE = (
    # The submission
    Row(1, "Runway finds the request wrong", "0", (
        "test_failures::test_an_asked_field_that_only_runway_refuses_is_the_callers",
    )),
    Row(2, "the account is empty", "0", (
        *_ends("2 no credits"), *_elsewhere("out of credits: the next deployment"),
    )),
    Row(3, "our key is refused", "0", (
        *_ends("3 POST 401"), *_elsewhere("a refused key: the next deployment"),
    )),
    Row(4, "a rate limit", "1", (*_passes("4 POST 429"), "test_fault_rows::test_a_rate_limit_is_waited_for")),
    Row(5, "the day's quota is used up", "0", (
        *_ends("5 quota"), *_elsewhere("both quotas used up: the fallback"),
    )),
    Row(6, "Runway is overloaded and says so", "0 or 1", (
        *_passes("6 POST 503"), *_ends("6 503 for good"),
    )),
    Row(7, "nobody listens at Runway's address", "0 or 1", (
        "test_failures::TestNobodyThere::test_it_is_tried_for_half_a_minute_and_nothing_is_bought",
        "test_fault_rows::TestBackInTime::test_a_runway_that_comes_back_makes_the_image",
    )),
    Row(8, "the task is made, a gateway answers with its own error", "1", (
        *_ends("8 accepted, 500", "8 accepted, 502", "8 accepted, 504"),
        f"{_SDK}test_a_failure_is_tried_once[a gateway]",
    )),
    Row(9, "the task is made, the line breaks before the answer", "1", (
        *_ends("9 answer cut"), f"{_SDK}test_a_failure_is_tried_once[a lost answer]",
    )),
    Row(10, "the task is made, the answer never comes", "1", (
        *_ends("10 no answer"), "test_fault_rows::test_an_answer_that_never_comes_is_given_up_before_the_deadline",
    )),
    Row(11, "the task is made, the answer does not name it", "1", _ends("11 no id")),
    Row(12, "the task is made, the answer is a web page", "1", _ends("12 HTML")),
    # The polls
    Row(13, "one look at the task fails", "1", _passes(
        "13 one bad poll, 503", "13 a few bad polls, cut", "13 one bad poll, half the JSON"
    )),
    Row(14, "many looks in a row fail", "1", _passes(
        "14 polls 500", "14 polls 502", "14 polls 503", "14 polls truncated", "14 polls with HTML"
    )),
    Row(15, "looks are too many for Runway", "1", (
        *_passes("15 poll 429"), "test_fault_rows::test_a_limit_on_looks_holds_for_every_task_of_the_account",
    )),
    Row(16, "Runway says things nobody has heard before", "1", (
        *_passes("16 an unknown status", "16 no status", "16 progress going backwards"),
        "test_fault_rows::test_a_word_that_is_new_is_logged_once",
        "test_failures::test_what_a_viewer_sees_of_the_progress_never_falls",
    )),
    Row(17, "a look is refused, or sent elsewhere", "1", (
        *_passes("17 poll 401", "17 poll redirected"),
        "test_fault_rows::test_a_key_that_is_refused_at_a_look_is_logged_once",
    )),
    Row(18, "Runway does not know the task any more", "1", (
        *_passes("18 one 404 that was not meant"), *_ends("18 gone for good"),
    )),
    Row(19, "a look is never answered", "1", _passes("19 a poll without an answer")),
    Row(20, "the task does not end in time", "1", (
        f"{_STUCK}[PENDING]", f"{_STUCK}[THROTTLED]", f"{_STUCK}[RUNNING]",
    )),
    # The end of a task
    Row(21, "the task fails at Runway, for nothing", "1 + num_retries", (
        *_ends("21 INTERNAL", "21 null code", "21 no code"),
        *_elsewhere("INTERNAL: the next deployment, for nothing"),
    )),
    Row(22, "Runway's model makes nonsense", "2", _ends("22 BAD")),
    Row(23, "moderation refuses the prompt", "1", (
        *_ends("23 input"), f"{_SDK}test_a_failure_is_tried_once[moderation]",
    )),
    Row(24, "moderation refuses the image", "1", _ends("24 out")),
    Row(25, "a reference image is of no use", "1", _ends("25 asset")),
    Row(26, "somebody stops the task at Runway", "1", _ends("26 CANCELLED")),
    Row(27, "the task succeeds without an image", "1", _ends("27 empty", "27 null")),
    Row(28, "moderation refuses, and there are other deployments", "1", (
        "test_fallbacks::TestWithoutContentPolicyFallbacks::test_a_refused_prompt_ends_the_job",
    )),
    Row(29, "looks fail, and there is a fallback", "1", (
        "test_fallbacks::test_polls_that_fail_never_use_the_fallback",
    )),
    Row(30, "the image cannot be fetched", "1", (
        "test_storing::test_a_download_that_fails_is_repeated_and_buys_nothing[500]",
        "test_storing::test_a_download_that_fails_is_repeated_and_buys_nothing[address expired, 403]",
        "test_storing::test_an_image_that_cannot_be_fetched_stays_with_the_provider[404]",
    )),
    # The caller
    Row(31, "the caller hangs up", "1", (
        "test_cancellation::test_a_caller_who_hangs_up_does_not_stop_the_job[plain]",
        "test_cancellation::TestOnDisconnectCancel::test_a_caller_who_hangs_up_stops_the_job",
    )),
    Row(32, "the caller's library loses patience, or the answer, and asks again", "1", (
        f"{_SDK}test_a_short_timeout_buys_one_image",
        f"{_SDK}test_a_line_that_breaks_buys_one_image",
        f"{_SDK}test_a_lost_answer_is_not_lost_with_a_key",
        "test_openai_node_sdk::test_a_short_timeout_buys_one_image",
    )),
    # The service
    Row(33, "SIGTERM", "1", (
        "test_replicas::test_a_stopping_replica_hands_its_jobs_over",
        "test_restart::test_a_stopped_service_finishes_its_submissions_and_leaves_the_rest_to_the_next",
    )),
    Row(34, "kill -9 while Runway works", "1", (
        "test_replicas::test_the_jobs_of_a_killed_replica_are_finished_by_the_other",
        "test_restart::test_a_killed_service_goes_on_with_every_job_and_buys_nothing_again",
    )),
    Row(35, "kill -9 between the submission and its answer", "1", (
        "test_restart::test_a_job_killed_while_submitting_is_not_bought_again",
    )),
    Row(36, "the store is away while Runway works", "1", (
        "test_replicas::test_a_store_that_is_down_for_a_while_costs_time_only",
        "test_fault_rows::TestAStoreThatIsAway::test_a_task_is_followed_without_the_store",
    )),
    # All together
    Row(37, "a share of all looks fails", "1 each", (
        "test_failures::test_with_every_fifth_poll_failing_thirty_jobs_buy_thirty_tasks",
        *_passes("37 every second poll 502"),
    )),
    Row(38, "a load balancer asks for health, often", "0", ("test_fault_rows::test_health_costs_nothing",)),
    Row(39, "Runway stands elsewhere than usual", "1", (
        "test_fault_rows::test_every_call_goes_to_the_configured_address",
    )),
)  # fmt: skip


def found(name: str) -> tuple[Any, set[str]]:
    """Return a test by its name in the table, and the ids of its cases. Raises where there is none."""
    chapter, *inside = name.split("::")
    test: Any = importlib.import_module(f"tests.{chapter}")
    for each in inside:
        test = getattr(test, each)
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    return test, {_id(case) for mark in marks for case in mark.args[1]}


def _id(case: Any) -> str:
    return str(getattr(case, "id", case))


NAMES = sorted({name for row in TABLE for name in row.shown_by})


@pytest.mark.parametrize("name", NAMES)
def test_a_named_test_exists_and_counts_the_tasks(name: str) -> None:
    """Every test of the table is there, under this name and with this case, and speaks of Runway's tasks."""
    whole, _, case = name.partition("[")
    test, cases = found(whole)

    words = {
        node.id if isinstance(node, ast.Name) else node.attr
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(test))))
        if isinstance(node, (ast.Name, ast.Attribute))
    }
    assert test.__doc__
    assert "tasks" in words
    assert not case or case.removesuffix("]") in cases


def test_the_table_is_whole() -> None:
    """The lines are numbered without a gap, and none goes without a test."""
    assert [*range(1, 40)] == [row.number for row in TABLE]
    assert all(row.shown_by for row in TABLE)
