//! Each change happens once, under its condition, together with its neighbours or not at all.

use protocol::records::Seconds;
use store::{Attempts, Change, DecisionRow, SignInRow, Store};

use crate::world::*;

#[test]
fn a_sign_in_is_found_by_id_and_by_handle() {
    on_both(|store| async move {
        let row = sign_in("a", 1);
        do_one(&store, Change::BeginSignIn(row.clone())).await;
        assert_eq!(store.sign_in(&tenant(), &row.id).await.unwrap(), Some(row.clone()));
        assert_eq!(store.sign_in_by_handle(&tenant(), &row.handle).await.unwrap(), Some(row));
        assert_eq!(store.sign_in_by_handle(&tenant(), &digest(2)).await.unwrap(), None);
    });
}

#[test]
fn a_sign_in_begins_once() {
    on_both(|store| async move {
        do_one(&store, Change::BeginSignIn(sign_in("a", 1))).await;
        for again in [sign_in("a", 2), sign_in("b", 1)] {
            assert_eq!(refused(store.commit(&tenant(), "test", vec![Change::BeginSignIn(again)]).await), 0);
        }
    });
}

#[test]
fn a_sign_in_advances_from_the_version_it_was_read_at_only() {
    on_both(|store| async move {
        do_one(&store, Change::BeginSignIn(sign_in("a", 1))).await;
        let next = SignInRow { handle: digest(2), body: "{}".to_owned(), ..sign_in("a", 1) };
        do_one(&store, Change::AdvanceSignIn(next.clone())).await;
        let stored = store.sign_in_by_handle(&tenant(), &digest(2)).await.unwrap().unwrap();
        assert_eq!(stored, SignInRow { version: 2, ..next.clone() });
        assert_eq!(store.sign_in_by_handle(&tenant(), &digest(1)).await.unwrap(), None);
        refused(store.commit(&tenant(), "test", vec![Change::AdvanceSignIn(next)]).await);
    });
}

#[test]
fn a_sign_in_cannot_take_the_handle_of_another() {
    on_both(|store| async move {
        do_one(&store, Change::BeginSignIn(sign_in("a", 1))).await;
        do_one(&store, Change::BeginSignIn(sign_in("b", 2))).await;
        let changes = vec![Change::Spend { key: "x".into(), expires: NOW }, Change::AdvanceSignIn(sign_in("b", 1))];
        assert_eq!(refused(store.commit(&tenant(), "test", changes).await), 1);
        assert!(!store.spent(&tenant(), "x").await.unwrap());
        assert_eq!(refused(store.commit(&tenant(), "test", vec![Change::AdvanceSignIn(sign_in("b", 1))]).await), 0);
    });
}

#[test]
fn changes_happen_together_or_not_at_all() {
    on_both(|store| async move {
        let spend = |key: &str| Change::Spend { key: key.to_owned(), expires: NOW };
        do_one(&store, spend("second")).await;
        let changes = vec![spend("first"), spend("second"), spend("third")];
        assert_eq!(refused(store.commit(&tenant(), "test", changes).await), 1);
        assert!(!store.spent(&tenant(), "first").await.unwrap());
        assert!(!store.spent(&tenant(), "third").await.unwrap());
        store.commit(&tenant(), "test", vec![spend("first"), spend("third")]).await.unwrap();
        assert!(store.spent(&tenant(), "first").await.unwrap());
    });
}

#[test]
fn nothing_to_change_is_done_at_once() {
    on_both(|store| async move { store.commit(&tenant(), "test", Vec::new()).await.unwrap() });
}

#[test]
fn names_from_strangers_are_kept_apart_however_long_or_odd() {
    on_both(|store| async move {
        let long = "j".repeat(100_000);
        for key in [long.as_str(), "with \u{0} inside", "with  inside", "", "ß\u{301}🙂"] {
            do_one(&store, Change::Spend { key: key.to_owned(), expires: NOW }).await;
            assert!(store.spent(&tenant(), key).await.unwrap());
            refused(store.commit(&tenant(), "test", vec![Change::Spend { key: key.to_owned(), expires: NOW }]).await);
        }
        assert!(!store.spent(&tenant(), &long[1..]).await.unwrap());
    });
}

#[test]
fn what_postgres_cannot_hold_is_refused_by_both() {
    on_both(|store| async move {
        let odd = SignInRow { body: "nul \u{0}".to_owned(), ..sign_in("a", 1) };
        let changes = vec![Change::Spend { key: "x".into(), expires: NOW }, Change::BeginSignIn(odd.clone())];
        assert_eq!(refused(store.commit(&tenant(), "test", changes).await), 1);
        assert_eq!(refused(store.commit(&tenant(), "test", vec![Change::BeginSignIn(odd)]).await), 0);
        assert_eq!(store.user_by_login(&tenant(), &"source".into(), "sc\u{0}ott").await.unwrap(), None);
    });
}

#[test]
fn a_challenge_changes_from_its_version_and_is_canceled_while_pending() {
    on_both(|store| async move {
        let first = challenge("a");
        do_one(&store, Change::AddChallenge(first.clone())).await;
        refused(store.commit(&tenant(), "test", vec![Change::AddChallenge(first.clone())]).await);
        assert_eq!(store.challenge(&tenant(), &first.id).await.unwrap().as_ref(), Some(&first));

        let mut tried = first.clone();
        tried.attempts = 1;
        do_one(&store, Change::UpdateChallenge(tried.clone())).await;
        refused(store.commit(&tenant(), "test", vec![Change::UpdateChallenge(tried.clone())]).await);
        tried.version = 2;
        assert_eq!(store.challenge(&tenant(), &first.id).await.unwrap(), Some(tried.clone()));

        let mut done = challenge("b");
        done.state = "success".to_owned();
        let mut elsewhere = challenge("c");
        elsewhere.enrolment = Some("another".into());
        do_one(&store, Change::AddChallenge(done.clone())).await;
        do_one(&store, Change::AddChallenge(elsewhere.clone())).await;
        let cancel = |enrolment: Option<&str>| Change::CancelChallenges {
            sign_in: "sign-in".into(),
            enrolment: enrolment.map(Into::into),
            at: NOW + 5,
        };
        do_one(&store, cancel(Some("enrolment"))).await;
        assert_eq!(state(&store, "a").await, "canceled");
        assert_eq!(state(&store, "b").await, "success");
        assert_eq!(state(&store, "c").await, "pending");
        // Whoever read it before loses.
        refused(store.commit(&tenant(), "test", vec![Change::UpdateChallenge(tried)]).await);
        do_one(&store, cancel(None)).await;
        assert_eq!(state(&store, "c").await, "canceled");
        do_one(&store, cancel(None)).await;
    });
}

async fn state(store: &Store, id: &str) -> String {
    store.challenge(&tenant(), &id.into()).await.unwrap().unwrap().state
}

fn charge(at: Seconds) -> Change {
    Change::Charge { key: "password:6040003OH8".into(), limit: 3, rest: 60, max_rest: 200, at }
}

#[test]
fn a_counter_rests_longer_with_every_failure_beyond_the_limit() {
    on_both(|store| async move {
        let read = || async { store.attempts(&tenant(), "password:6040003OH8").await.unwrap() };
        assert_eq!(read().await, Attempts::default());
        let mut at = NOW;
        for (failures, rest) in [(1, 0), (2, 0), (3, 60), (4, 120), (5, 200), (6, 200)] {
            do_one(&store, charge(at)).await;
            let rests_until = if rest == 0 { 0 } else { at + rest };
            assert_eq!(read().await, Attempts { failures, rests_until });
            if rest > 0 {
                refused(store.commit(&tenant(), "test", vec![charge(at + rest - 1)]).await);
                assert_eq!(read().await.failures, failures);
            }
            at += rest;
        }
        do_one(&store, Change::ClearAttempts { key: "password:6040003OH8".into() }).await;
        do_one(&store, Change::ClearAttempts { key: "password:6040003OH8".into() }).await;
        assert_eq!(read().await, Attempts::default());
    });
}

/// Failures of weeks ago made the first wrong answer rest, where nothing had been swept in between.
#[test]
fn forgotten_failures_count_no_more_before_they_are_swept() {
    on_both(|store| async move {
        for at in [NOW, NOW + 1, NOW + 2] {
            do_one(&store, charge(at)).await;
        }
        let forgotten = NOW + 2 + 86_400 + 200;
        do_one(&store, charge(forgotten - 1)).await;
        assert_eq!(store.attempts(&tenant(), "password:6040003OH8").await.unwrap().failures, 4);
        do_one(&store, charge(forgotten + 2 * 86_400)).await;
        let attempts = store.attempts(&tenant(), "password:6040003OH8").await.unwrap();
        assert_eq!(attempts, Attempts { failures: 1, rests_until: 0 });
    });
}

#[test]
fn a_counter_with_extreme_settings_neither_overflows_nor_opens() {
    on_both(|store| async move {
        let change = |at| Change::Charge { key: "k".into(), limit: 1, rest: i64::MAX, max_rest: i64::MAX, at };
        do_one(&store, change(NOW)).await;
        assert!(store.attempts(&tenant(), "k").await.unwrap().rests_until > NOW + (1 << 31));
        refused(store.commit(&tenant(), "test", vec![change(NOW + (1 << 31))]).await);
        let quick = |at| Change::Charge { key: "q".into(), limit: 0, rest: 1, max_rest: 3600, at };
        let mut at = NOW;
        for _ in 0..80 {
            do_one(&store, quick(at)).await;
            let now = store.attempts(&tenant(), "q").await.unwrap();
            assert!(now.rests_until > at && now.rests_until <= at + 3600);
            at = now.rests_until;
        }
    });
}

#[test]
fn a_meter_counts_within_a_window_and_starts_anew_in_the_next() {
    on_both(|store| async move {
        let start = NOW - NOW % 3600;
        let unit = |at, limit| vec![Change::Meter { key: "mail:6040003OH8".into(), limit, window: 3600, at }];
        for second in [0, 10, 3599] {
            store.commit(&tenant(), "test", unit(start + second, 3)).await.unwrap();
        }
        refused(store.commit(&tenant(), "test", unit(start + 3599, 3)).await);
        store.commit(&tenant(), "test", unit(start + 3600, 3)).await.unwrap();
        // A clock that is behind does not open the old window again.
        store.commit(&tenant(), "test", unit(start + 3599, 3)).await.unwrap();
        store.commit(&tenant(), "test", unit(start + 3599, 3)).await.unwrap();
        refused(store.commit(&tenant(), "test", unit(start + 3600, 3)).await);
        let none = vec![Change::Meter { key: "new".into(), limit: 0, window: 3600, at: NOW }];
        refused(store.commit(&tenant(), "test", none).await);
    });
}

#[test]
fn decisions_are_found_by_reference_and_by_grant() {
    on_both(|store| async move {
        let record = |reference: &str, grant: Option<&str>, at| Change::Record {
            reference: reference.to_owned(),
            grant: grant.map(Into::into),
            at,
            body: r#"{"rule":"r"}"#.to_owned(),
        };
        do_one(&store, record("CS-2", Some("g"), NOW + 1)).await;
        do_one(&store, record("CS-1", Some("g"), NOW)).await;
        do_one(&store, record("CS-3", None, NOW)).await;
        refused(store.commit(&tenant(), "test", vec![record("CS-3", None, NOW)]).await);
        let found = store.record(&tenant(), "CS-3").await.unwrap().unwrap();
        let expected = DecisionRow { reference: "CS-3".into(), grant: None, at: NOW, body: r#"{"rule":"r"}"#.into() };
        assert_eq!(found, expected);
        let of_grant = store.records_of_grant(&tenant(), &"g".into()).await.unwrap();
        assert_eq!(of_grant.iter().map(|row| row.reference.as_str()).collect::<Vec<_>>(), ["CS-1", "CS-2"]);
    });
}

#[test]
fn people_and_enrolments_change_under_their_conditions() {
    on_both(|store| async move {
        let scott = user("U1", "Scott");
        store.change_directory(&tenant(), vec![put_user(scott.clone()), put_user(user("U2", "pat"))]).await.unwrap();

        let rehash = |from: &str, to: &str| {
            vec![Change::Rehash { user: "U1".into(), from: from.into(), to: to.into(), at: NOW + 9 }]
        };
        store.commit(&tenant(), "test", rehash("$argon2id$old", "$argon2id$new")).await.unwrap();
        refused(store.commit(&tenant(), "test", rehash("$argon2id$old", "$argon2id$evil")).await);
        let stored = store.user(&tenant(), &"U1".into()).await.unwrap().unwrap();
        assert_eq!(stored.password.as_deref(), Some("$argon2id$new"));
        assert_eq!(stored.updated, NOW + 9);

        let mut renamed = scott.clone();
        renamed.username = "PAT".to_owned();
        refused(store.commit(&tenant(), "test", vec![Change::PutUser(renamed)]).await);
        refused(store.commit(&tenant(), "test", vec![Change::PutUser(user("U3", "new"))]).await);
        let mut moved = scott.clone();
        moved.attributes.insert("email".into(), vec!["a@b.test".into(), "a@b.test".into(), "c@d.test".into()]);
        do_one(&store, Change::PutUser(moved.clone())).await;
        assert_eq!(store.user(&tenant(), &"U1".into()).await.unwrap(), Some(moved.clone()));
        let by = |value: &'static str| {
            let store = store.clone();
            async move { store.users_by_attribute(&tenant(), "email", value, 2).await.unwrap() }
        };
        assert_eq!(by("c@d.test").await, [moved]);
        assert_eq!(by("Scott@example.test").await, []);

        let key = enrolment("E1", "U1", Some("credential"));
        do_one(&store, Change::PutEnrolment(key.clone())).await;
        refused(store.commit(&tenant(), "test", vec![Change::PutEnrolment(key.clone())]).await);
        let twin = enrolment("E2", "U2", Some("credential"));
        refused(store.commit(&tenant(), "test", vec![Change::PutEnrolment(twin)]).await);
        let mut used = store.enrolment_by_lookup(&tenant(), "passkey", "credential").await.unwrap().unwrap();
        assert_eq!(used.version, 1);
        used.attempted = Some(NOW + 1);
        do_one(&store, Change::PutEnrolment(used.clone())).await;
        refused(store.commit(&tenant(), "test", vec![Change::PutEnrolment(used.clone())]).await);
        used.version = 2;
        assert_eq!(store.enrolment(&tenant(), &used.id).await.unwrap(), Some(used.clone()));
        assert_eq!(store.enrolments(&tenant(), &"U1".into()).await.unwrap(), [used]);
        do_one(&store, Change::RemoveEnrolment("E1".into())).await;
        refused(store.commit(&tenant(), "test", vec![Change::RemoveEnrolment("E1".into())]).await);
    });
}

#[test]
fn a_pace_slows_who_comes_back_at_once_and_forgives_who_stays_away() {
    on_both(|store| async move {
        let unit = |at| vec![Change::Pace { key: "tries:place".into(), limit: 3, window: 100, longest: 350, at }];
        let taken = async |at| store.commit(&tenant(), "test", unit(at)).await.is_ok();
        let mut at = NOW;
        // Each window that was used up is followed by one twice as long, up to the longest.
        for length in [100, 200, 350, 350] {
            for _ in 0..3 {
                assert!(taken(at).await, "{length}");
            }
            assert!(!taken(at).await && !taken(at + length - 1).await, "{length}");
            at += length;
        }
        // One that was not used up is followed by the first length; so is a time without any.
        assert!(taken(at).await);
        at += 350;
        for _ in 0..3 {
            assert!(taken(at).await);
        }
        assert!(!taken(at + 99).await);
        at += 200;
        for _ in 0..3 {
            assert!(taken(at).await);
        }
        assert!(!taken(at + 99).await && taken(at + 100).await);
        let none = vec![Change::Pace { key: "new".into(), limit: 0, window: 100, longest: 350, at: NOW }];
        refused(store.commit(&tenant(), "test", none).await);
    });
}
