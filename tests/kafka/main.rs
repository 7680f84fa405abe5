//! The Kafka clients against librdkafka's mock cluster, and against a real broker where there is one.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, though clippy cannot see it: they have no libtest"
)]

mod bed;
mod consumer;
mod link;
mod measure;
mod producer;
mod renewal;
mod security;
#[path = "../support/mod.rs"]
mod support;
mod transactions;

use support::{Need, Test, run};

const TESTS: &[Test] = &[
    Test { name: "commands_are_read_in_their_order_from_the_earliest", needs: &[Need::Broker], body: consumer::in_order },
    Test {
        name: "the_journal_decides_where_reading_begins_and_without_it_the_groups_offset",
        needs: &[Need::Broker],
        body: consumer::beginning,
    },
    Test { name: "several_partitions_are_all_read", needs: &[], body: consumer::partitions },
    Test { name: "an_offset_that_is_not_there_is_a_gap_and_reading_goes_on_at_the_earliest", needs: &[Need::Broker], body: consumer::gap },
    Test { name: "a_missing_topic_is_told_with_the_mend_and_read_once_it_is_there", needs: &[], body: consumer::missing_topic },
    Test { name: "how_many_records_wait_is_known_without_asking", needs: &[Need::Broker], body: consumer::lag },
    Test { name: "a_consumer_whose_events_nobody_takes_still_stops", needs: &[], body: consumer::full_queue },
    Test { name: "an_event_is_delivered_with_its_key_and_headers", needs: &[Need::Broker], body: producer::delivery },
    Test { name: "a_dead_letter_is_buried_whole_or_cut", needs: &[Need::Broker], body: producer::dead_letter },
    Test {
        name: "an_event_that_no_broker_can_take_is_given_back_and_the_next_is_written",
        needs: &[Need::Broker],
        body: producer::undeliverable,
    },
    Test { name: "a_missing_dead_letter_topic_holds_no_event_up", needs: &[], body: producer::no_letters },
    Test { name: "a_permission_that_is_granted_later_lets_the_event_through", needs: &[], body: producer::permission },
    Test { name: "a_producer_that_breaks_is_replaced_and_nothing_is_lost", needs: &[], body: producer::replacement },
    // librdkafka's mock keeps no offset of a transaction.
    Test { name: "events_are_committed_with_the_mark_that_follows_from_them", needs: &[Need::SecureBroker], body: transactions::commits },
    Test { name: "what_is_on_the_event_topic_is_read_back_and_not_written_again", needs: &[Need::Broker], body: transactions::reads_back },
    Test {
        name: "one_that_is_fenced_says_so_and_what_it_had_open_is_never_seen",
        needs: &[Need::SecureBroker],
        body: transactions::fences,
    },
    Test {
        name: "an_event_that_is_too_large_voids_its_transaction_and_the_others_are_written",
        needs: &[Need::Broker],
        body: transactions::too_large,
    },
    Test { name: "a_transaction_that_cannot_be_committed_is_voided_and_written_again", needs: &[], body: transactions::broken_commit },
    Test {
        name: "a_transactional_id_that_the_brokers_have_forgotten_is_no_trouble_and_fences_still",
        needs: &[Need::ForgetfulBroker],
        body: transactions::forgotten,
    },
    Test { name: "a_broker_that_comes_back_is_used_again", needs: &[], body: link::comes_back },
    Test { name: "brokers_that_were_never_there_are_waited_for_and_the_stop_does_not_wait_for_them", needs: &[], body: link::never_there },
    Test { name: "clients_that_are_replaced_read_and_write_on", needs: &[Need::Broker], body: renewal::goes_on },
    Test { name: "a_setting_that_was_wrong_is_mended_without_a_restart", needs: &[], body: renewal::mends },
    Test { name: "both_sides_say_who_they_are", needs: &[], body: link::sides },
    Test {
        name: "an_idle_pair_sleeps_and_still_sees_a_command_soon",
        needs: &[Need::Broker, Need::QuietMachine],
        body: measure::idle_pair,
    },
    Test { name: "a_certificate_that_is_wrong_is_told_as_such", needs: &[Need::SecureBroker], body: security::certificates },
    Test {
        name: "a_certificate_that_is_replaced_is_used_without_a_restart",
        needs: &[Need::SecureBroker],
        body: security::replaced_certificate,
    },
    Test {
        name: "a_certificate_that_is_issued_after_the_start_is_used_and_so_is_its_renewal",
        needs: &[Need::SecureBroker],
        body: security::issued_certificate,
    },
    Test { name: "a_wrong_password_is_told_as_such_and_not_repeated", needs: &[Need::SecureBroker], body: security::passwords },
    Test {
        name: "a_port_that_speaks_something_else_is_told_as_such",
        needs: &[Need::SecureBroker, Need::ClosedBroker],
        body: security::ports,
    },
    Test { name: "a_name_that_nobody_knows_is_told_as_such", needs: &[], body: security::names },
];

fn main() -> std::process::ExitCode {
    run("kafka", TESTS)
}
