//! Each model, under every interleaving of its threads.

use model::{flights, slots, tables};

#[test]
fn an_answer_reaches_all_who_wait() {
    flights::an_answer_reaches_all_who_wait();
}

#[test]
fn one_who_leaves_takes_nobody_along() {
    flights::one_who_leaves_takes_nobody_along();
}

#[test]
fn one_who_is_not_polled_holds_nobody_up() {
    flights::one_who_is_not_polled_holds_nobody_up();
}

#[test]
fn when_all_leave_the_work_goes() {
    flights::when_all_leave_the_work_goes();
}

#[test]
fn a_pilot_goes_for_a_crowd() {
    flights::a_pilot_goes_for_a_crowd();
}

#[test]
fn a_crowd_that_is_not_polled_holds_nobody_up() {
    flights::a_crowd_that_is_not_polled_holds_nobody_up();
}

#[test]
fn two_wakings_in_one_turn_are_not_lost() {
    flights::two_wakings_in_one_turn_are_not_lost();
}

#[test]
fn two_callers_one_request() {
    slots::two_callers_one_request();
}

#[test]
fn a_failure_is_shared_and_not_kept() {
    slots::a_failure_is_shared_and_not_kept();
}

#[test]
fn a_due_refresh_happens_once() {
    slots::a_due_refresh_happens_once();
}

#[test]
fn a_reader_never_takes_the_old_for_the_new() {
    slots::a_reader_never_takes_the_old_for_the_new();
}

#[test]
fn a_late_note_leaves_the_successor_alone() {
    slots::a_late_note_leaves_the_successor_alone();
}

#[test]
fn a_caller_who_leaves_takes_nobody_along() {
    slots::a_caller_who_leaves_takes_nobody_along();
}

#[test]
fn what_was_asked_before_a_clearing_is_not_kept() {
    slots::what_was_asked_before_a_clearing_is_not_kept();
}

#[test]
fn what_is_found_is_whole() {
    tables::what_is_found_is_whole();
}

#[test]
fn what_stands_is_found_while_it_moves() {
    tables::what_stands_is_found_while_it_moves();
}

#[test]
fn what_is_taken_out_outlives_the_looks_at_it() {
    tables::what_is_taken_out_outlives_the_looks_at_it();
}
