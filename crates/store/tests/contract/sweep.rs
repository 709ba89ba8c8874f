//! What has expired goes, and nothing else does.

use store::{Change, Item, Mail};

use crate::world::*;

#[test]
fn expired_rows_go_in_batches_and_living_ones_stay() {
    on_both(|store| async move {
        for number in 0..25 {
            let mut short = token("none", None);
            short.expires = NOW + i64::from(number);
            do_one(&store, Change::AddToken(digest(number), short)).await;
        }
        assert_eq!(store.sweep(NOW - 1, 10).await.unwrap(), 0);
        assert_eq!(store.sweep(NOW + 19, 10).await.unwrap(), 10);
        assert_eq!(store.sweep(NOW + 19, 10).await.unwrap(), 10);
        assert_eq!(store.sweep(NOW + 19, 10).await.unwrap(), 0);
        for number in 0..25 {
            assert_eq!(store.token(&tenant(), &digest(number)).await.unwrap().is_some(), number >= 20);
        }
    });
}

#[test]
fn every_kind_that_expires_is_swept() {
    on_both(|store| async move {
        let mail = Mail { id: "m".into(), channel: "email".into(), sealed: vec![], created: NOW, expires: NOW + 300 };
        let changes = vec![
            Change::BeginSignIn(sign_in("a", 1)),
            Change::AddChallenge(challenge("c")),
            Change::Spend { key: "k".into(), expires: NOW + 300 },
            Change::Charge { key: "k".into(), limit: 5, rest: 60, max_rest: 60, at: NOW },
            Change::Meter { key: "k".into(), limit: 5, window: 60, at: NOW },
            Change::AddToken(digest(1), token("g", None)),
            Change::AddGrant(grant("g")),
            Change::RevokeJwt { jti: "j".into(), expires: NOW + 300 },
            Change::Enqueue(mail),
            Change::PutItem(Item {
                kind: "session",
                name: "s".into(),
                owner: None,
                link: None,
                created: NOW,
                expires: NOW + 300,
                body: "{}".into(),
                version: 0,
            }),
        ];
        let rows = changes.len() as u64;
        store.commit(&tenant(), "test", changes).await.unwrap();
        assert_eq!(store.sweep(NOW, 100).await.unwrap(), 0);
        assert_eq!(store.sweep(NOW + 90_000, 100).await.unwrap(), rows);
        assert!(!store.spent(&tenant(), "k").await.unwrap());
        assert!(store.grant(&tenant(), &"g".into()).await.unwrap().is_none());
        assert_eq!(store.attempts(&tenant(), "k").await.unwrap().failures, 0);
    });
}

#[test]
fn a_dead_grant_is_remembered_as_long_as_a_token_issued_with_it() {
    on_both(|store| async move {
        let mut long = token("g", None);
        long.expires = NOW + 10_000;
        let changes = vec![Change::AddToken(digest(1), long), Change::AddGrant(grant("g"))];
        store.commit(&tenant(), "test", changes).await.unwrap();
        do_one(&store, Change::RevokeGrant("g".into())).await;
        while store.sweep(NOW + 9_999, 100).await.unwrap() > 0 {}
        assert!(store.token(&tenant(), &digest(1)).await.unwrap().is_none(), "it must not come back to life");
        assert!(store.sweep(NOW + 10_000, 100).await.unwrap() == 2);
    });
}

#[test]
fn old_decisions_are_forgotten_when_asked() {
    on_both(|store| async move {
        for number in 0..5 {
            let reference = format!("r{number}");
            let body = "{}".to_owned();
            do_one(&store, Change::Record { reference, grant: None, at: NOW + number, body }).await;
        }
        assert_eq!(store.forget_records(NOW + 3, 2).await.unwrap(), 2);
        assert_eq!(store.forget_records(NOW + 3, 2).await.unwrap(), 1);
        assert_eq!(store.forget_records(NOW + 3, 2).await.unwrap(), 0);
        assert!(store.record(&tenant(), "r3").await.unwrap().is_some());
    });
}

#[test]
fn a_dead_grant_is_remembered_as_long_as_a_token_of_which_no_row_tells() {
    on_both(|store| async move {
        let keep = |until| Change::KeepGrant { grant: "g".into(), until };
        store.commit(&tenant(), "test", vec![keep(NOW + 10_000), Change::AddGrant(grant("g"))]).await.unwrap();
        do_one(&store, Change::NeedGrant { grant: "g".into(), until: NOW + 20_000 }).await;
        do_one(&store, Change::NeedGrant { grant: "g".into(), until: NOW + 5 }).await;
        do_one(&store, Change::RevokeGrant("g".into())).await;
        refused(store.commit(&tenant(), "test", vec![Change::NeedGrant { grant: "g".into(), until: NOW }]).await);
        while store.sweep(NOW + 19_999, 100).await.unwrap() > 0 {}
        assert!(store.grant(&tenant(), &"g".into()).await.unwrap().is_some(), "it must not come back to life");
        assert!(store.sweep(NOW + 20_000, 100).await.unwrap() > 0);
    });
}
